"""The only file with os.fork. Each function that runs in a new process ends in os._exit and never returns."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn


def fork_into(run: "Callable[[], object]") -> int:
    """Fork; the new process calls `run` and ends. Returns its pid to the caller."""
    pid = os.fork()
    if pid == 0:
        _become(run)
    return pid


def _become(run: "Callable[[], object]") -> NoReturn:
    code = 1
    try:
        _reset_signals()
        run()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001
        # Nobody is left to catch it, and what is printed here is read by the engine's log.
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _reset_signals() -> None:
    """Undo the zygote's own handlers: a worker that took over its wake-up descriptor would wake the zygote."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
