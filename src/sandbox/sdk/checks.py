"""Arguments of calls, checked before anything is sent. Each raises UsageError, naming the argument."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from sandbox.errors import UsageError
from sandbox.options import checked_timeout

# Not a number of seconds, and told from one by being this object: a caller's -1 is a mistake.
SESSION_TIMEOUT = float("-1")


def run_timeout(value: float | None) -> float | None:
    """Return the timeout of an execution as it travels."""
    return SESSION_TIMEOUT if value is SESSION_TIMEOUT else checked_timeout(value)


def text(name: str, value: object) -> str:
    """Return a text that can be sent."""
    if not isinstance(value, str):
        raise UsageError(f"{name} is {_short(value)}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} cannot be encoded as UTF-8: it has {value[error.start]!r} at {error.start}") from None
    return value


def inside(name: str, path: object) -> str:
    """Return a path inside the sandbox, which may be a pathlib.Path."""
    found = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(found, str):
        raise UsageError(f"{name} is {_short(path)}, not a path: it must be a text or a pathlib.Path")
    return text(name, found)


def content(name: str, data: object) -> memoryview:
    """Return bytes, or a text's in UTF-8, as a view."""
    if isinstance(data, str):
        return memoryview(text(name, data).encode())
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"{name} is {_short(data)}, neither bytes nor a text") from None


def argv(program: str | Sequence[str], args: Sequence[str]) -> tuple[str, ...]:
    """Return a program with its arguments."""
    if isinstance(args, str):
        raise UsageError(f"args is {args!r}: it must be a list, such as [{args!r}]; shell() takes a line of shell")
    found = (program, *args) if isinstance(program, str) else (*program, *args)
    for arg in found:
        if not isinstance(arg, str) or "\0" in arg:
            raise UsageError(f"a command has the argument {arg!r}, which is not a text without NUL")
    if not found or not found[0]:
        raise UsageError("a command needs at least the program's name")
    return found


def whole(name: str, value: object, least: int = 0) -> int:
    """Return a whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name}={_short(value)} is not a whole number of at least {least}")
    return value


def signal_number(value: object) -> int:
    """Return the number of a signal, which may be given by its name: "TERM" and "SIGTERM" are 15."""
    if isinstance(value, str):
        name = value.upper()
        found = signal.Signals.__members__.get(name if name.startswith("SIG") else f"SIG{name}")
        if found is not None:
            return int(found)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < signal.NSIG:
        return int(value)
    raise UsageError(f"{_short(value)} is not a signal: it must be a number such as 15, or a name such as 'TERM'")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."
