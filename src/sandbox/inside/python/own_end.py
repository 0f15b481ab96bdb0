"""Signals that a worker sends itself.

It is process 1 of its pid namespace, and from inside of one the kernel delivers no signal to process 1 that it has no
handler for: code that means to end itself would go on, and os.abort would end in a segmentation fault.
"""

import contextlib
import os
import signal
import sys
from typing import NoReturn

_IGNORED = {0, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
_STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_HARMLESS = frozenset(map(int, _IGNORED | _STOPPING))
_SHELL = 128


def install() -> None:
    """Let the functions with which a program signals itself end process 1 as they would end another."""
    kill, killpg, raise_signal, abort = os.kill, os.killpg, signal.raise_signal, os.abort

    def kill_or_end(pid: int, sig: int, /) -> None:
        kill(pid, sig)
        if pid in {0, 1} and os.getpid() == 1:
            _end_by(sig)

    def killpg_or_end(pgid: int, sig: int, /) -> None:
        killpg(pgid, sig)
        if os.getpid() == 1 and pgid in {0, os.getpgrp()}:
            _end_by(sig)

    def raise_or_end(signum: int, /) -> None:
        raise_signal(signum)
        if os.getpid() == 1:
            _end_by(signum)

    def abort_or_end() -> NoReturn:
        if os.getpid() == 1:
            _end(signal.SIGABRT)
        abort()

    for module, name, ours in (
        (os, "kill", kill_or_end),
        (os, "killpg", killpg_or_end),
        (signal, "raise_signal", raise_or_end),
        (os, "abort", abort_or_end),
    ):
        ours.__name__ = ours.__qualname__ = name
        ours.__module__, ours.__doc__ = module.__name__, getattr(module, name).__doc__
        setattr(module, name, ours)


def _end_by(sig: int) -> None:
    """End, if that is what the signal does by default, and nothing else was asked for."""
    number = int(sig)
    if number in _HARMLESS:
        return
    if number == signal.SIGKILL:
        _end(number)
    if signal.getsignal(number) is signal.SIG_DFL and number not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        _end(number)


def _end(number: int) -> NoReturn:
    """As a shell tells of it."""
    with contextlib.suppress(Exception):  # they may be anything
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(_SHELL + number)
