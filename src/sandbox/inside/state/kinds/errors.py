"""Exceptions, with what they were told and where they came from; tracebacks, without their frames' variables."""

import types
from typing import Any

from ..pickler import SessionPickler
from ..registry import builder, reduces, reduces_all
from .classes import native_base


@reduces_all("builtins.BaseException")
def _exception(_: SessionPickler, error: BaseException) -> Any:
    state: dict[str, Any] = {
        "attributes": dict(error.__dict__),
        "traceback": error.__traceback__,
        "cause": error.__cause__,
        "context": error.__context__,
        "suppress": error.__suppress_context__,
    }
    kind = type(error)
    if kind.__reduce__ is BaseException.__reduce__ and kind.__reduce_ex__ is object.__reduce_ex__:
        return bare_exception, (kind, error.args), state, None, None, set_exception
    made = error.__reduce_ex__(4)
    if len(made) > 2:
        state["own"] = made[2]
    if made[0] is kind and kind.__reduce__ in _OF_C:
        return bare_exception, made[:2], state, None, None, set_exception
    return made[0], made[1], state, None, None, set_exception


_OF_C = [one.__reduce__ for one in (OSError, ImportError, AttributeError, StopIteration)]


@builder
def bare_exception(kind: Any, arguments: tuple[Any, ...]) -> Any:
    """An exception that was told `arguments`, without running what Python code its class has for a start."""
    native = native_base(kind)
    made = native.__new__(kind, *arguments)
    try:
        native.__init__(made, *arguments)
    except TypeError:
        BaseException.__init__(made, *arguments)
    return made


@builder
def set_exception(error: BaseException, state: dict[str, Any]) -> None:
    own = state.get("own")
    if own is not None:
        error.__setstate__(own)
    error.__dict__.update(state["attributes"])
    error.__traceback__ = state["traceback"]
    error.__cause__ = state["cause"]
    error.__context__ = state["context"]
    error.__suppress_context__ = state["suppress"]


@reduces("builtins.traceback")
def _traceback(pickler: SessionPickler, trace: types.TracebackType) -> Any:
    steps = []
    step: types.TracebackType | None = trace
    while step is not None:
        code = step.tb_frame.f_code
        pickler.files.add(code.co_filename)
        steps.append((code.co_filename, code.co_name, code.co_qualname, step.tb_lineno))
        step = step.tb_next
    return make_traceback, (steps,)


@builder
def make_traceback(steps: list[tuple[str, str, str, int]]) -> Any:
    made = None
    for step in reversed(steps):
        frame = _frame(*step)
        made = types.TracebackType(made, frame, frame.f_lasti, step[3])
    return made


def _frame(file: str, name: str, qualified: str, line: int) -> types.FrameType:
    """A frame that says it is at this line of this function. It has no variables."""
    code = compile("raise error", file, "exec")
    code = code.replace(co_name=name, co_qualname=qualified, co_firstlineno=max(line, 1))
    error = Exception()
    try:
        exec(code, {"error": error, "__name__": file})  # noqa: S102 - it raises, for its frame
    except Exception as raised:  # noqa: BLE001
        trace = raised.__traceback__
        assert trace is not None and trace.tb_next is not None  # noqa: PT018
        return trace.tb_next.tb_frame
    raise AssertionError("nothing was raised")
