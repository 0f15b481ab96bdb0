"""Hearing of ended children through a descriptor, with no handler that every worker would have to take off again."""

import contextlib
import os
import signal

from .. import kernel
from ..kernel import Call

_SIG_SETMASK = 2
_NONE = bytes(8)


def take_all() -> None:
    """Ignore no signal because whoever started the engine does, as `nohup` and shells do for what they start.

    Python itself ignores two, and a program that is started has them back.
    """
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def child_ends() -> int:
    """Return a descriptor that becomes readable when a child has ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    mask = (1 << signal.SIGCHLD - 1).to_bytes(8, "little")
    return kernel.make("signalfd4", -1, mask, len(mask), os.O_NONBLOCK | os.O_CLOEXEC)


def drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4096):
            pass


def unblock() -> Call:
    """For the new process: take every signal again."""
    return kernel.prepare("rt_sigprocmask", _SIG_SETMASK, _NONE, None, len(_NONE))
