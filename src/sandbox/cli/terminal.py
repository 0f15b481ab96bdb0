"""Standard output and standard error: written at once, unbuffered, in the order in which things happen."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from threading import Timer

OUT, ERR = 1, 2
_HINT_SECONDS = 1.0


def keep_standard_descriptors() -> None:
    """Fill descriptors 0 to 2 where the caller closed them: else a socket of ours would get the number of stdout."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > ERR:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def write(fd: int, text: str) -> None:
    """Write all of `text` as UTF-8, which is what code inside a sandbox writes too. See `write_bytes`."""
    write_bytes(fd, text.encode("utf-8", "replace"))


def write_bytes(fd: int, content: bytes) -> None:
    """Write all of `content`.

    Raises BrokenPipeError when nobody reads standard output any more, SandboxError when it cannot be written for
    another reason. What cannot go to standard error is dropped: there is nowhere to say so.
    """
    data = memoryview(content)
    try:
        while data:
            data = data[_write_some(fd, data) :]
    except BrokenPipeError:
        if fd != ERR:
            raise
    except OSError as error:
        if fd != ERR:
            from sandbox.errors import SandboxError  # noqa: PLC0415 - only where something failed

            raise SandboxError(f"standard output cannot be written: {error.strerror}") from error


def _write_some(fd: int, data: memoryview) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:  # somebody made the terminal non-blocking
        select.select([], [fd], [])
        return 0


def note(text: str) -> None:
    """Say something ourselves, on standard error, so that it cannot be taken for the code's output."""
    write(ERR, f"sandbox: {text}\n")


def hint(text: str) -> Timer:
    """Say something in a moment, unless it is cancelled until then."""
    from threading import Timer  # noqa: PLC0415 - few programs are interrupted

    timer = Timer(_HINT_SECONDS, note, [text])
    timer.daemon = True
    timer.start()
    return timer


def plain(text: str) -> str:
    """A name that the code chose, fit for a terminal: control characters are escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def leave(code: int) -> NoReturn:
    """End the process without the interpreter's own shutdown, which takes as long as a short program.

    The engine has been closed by now; if it was not, its keeper cleans up as soon as this process is gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is where the caller has closed it
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)
