"""What went wrong in a cell, as Python would show it: without this package's frames, and of bounded size."""

import os
import traceback
from collections import deque
from types import TracebackType
from typing import Any

CELL_PREFIX = "<cell "
OURS = os.path.dirname(os.path.dirname(__file__)) + "/"
_MOST_TEXT = 200_000
_MOST_MESSAGE = 20_000
_MOST_FRAMES = 500


def describe(error: BaseException) -> dict[str, Any]:
    """Return the error's type, message, traceback, errno and, for SystemExit, the exit code."""
    return {
        "type": type(error).__name__,
        "message": cut(_message(error), _MOST_MESSAGE),
        "traceback": cut(_traceback(error), _MOST_TEXT),
        "errno": _number(getattr(error, "errno", None)),
        "exit_code": _exit_code(error) if isinstance(error, SystemExit) else 1,
    }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # noqa: BLE001 - the user's __str__ may raise anything
        return f"<str() of the exception raised {type(problem).__name__}>"


def _traceback(error: BaseException) -> str:
    _note_what_helps(error)
    for link in _chain(error):
        link.__traceback__, left_out = _without_ours(link.__traceback__)
        if left_out:
            link.add_note(f"{left_out} frames in the middle of the traceback are left out.")
    try:
        return "".join(traceback.format_exception(error))
    except Exception as problem:  # noqa: BLE001 - a broken __cause__, __notes__ or source line
        return f"{type(error).__name__}: <no traceback: formatting it raised {type(problem).__name__}>\n"


def _chain(error: BaseException) -> "list[BaseException]":
    """The error with its causes and contexts, each once."""
    found: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in found:
            found[id(link)] = link
            waiting += [link.__cause__, link.__context__]
    return list(found.values())


def _without_ours(trace: "TracebackType | None") -> "tuple[TracebackType | None, int]":
    """Drop what comes before the cell's first frame, and this package's frames wherever they are.

    Of a very long one the first and the last frames are kept: code may raise the limit of its recursion, and then it
    has used up its memory. Also returns how many were left out.
    """
    first: list[TracebackType] = []
    last: deque[TracebackType] = deque(maxlen=_MOST_FRAMES)
    count = 0
    at = _first_of_cell(trace)
    while at is not None:
        if not at.tb_frame.f_code.co_filename.startswith(OURS):
            count += 1
            (first if count <= _MOST_FRAMES else last).append(at)
        at = at.tb_next
    result = None
    for frame in (*reversed(last), *reversed(first)):
        result = TracebackType(result, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return result, count - len(first) - len(last)


def _first_of_cell(trace: "TracebackType | None") -> "TracebackType | None":
    """The cell's first frame, or else the first of all."""
    at = trace
    while at is not None:
        if at.tb_frame.f_code.co_filename.startswith(CELL_PREFIX):
            return at
        at = at.tb_next
    return trace


def _note_what_helps(error: BaseException) -> None:
    """Say what to do about two things that work in a notebook and not here."""
    if isinstance(error, SyntaxError) and (error.text or "").lstrip()[:1] in {"%", "!"}:
        error.add_note("IPython magics and shell lines are not Python: use subprocess, or a command of the sandbox.")
    if isinstance(error, RuntimeError) and error.args == ("no running event loop",):
        error.add_note(
            "A cell without `await` runs outside the event loop: await something in it, or use asyncio.run()."
        )


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _number(value: object) -> "int | None":
    return value if isinstance(value, int) and 0 < value < 4096 else None


def cut(text: str, most: int) -> str:
    """Keep the start and the end of a text that is too long."""
    text = clean(text)
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def clean(text: str) -> str:
    """Replace what cannot be encoded (lone surrogates), so that the engine accepts the message."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
