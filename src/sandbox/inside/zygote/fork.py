"""The only file that forks. Each function that runs in a new process ends in os._exit and never returns."""

import ctypes
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

_fork = ctypes.PyDLL(None).fork
_in_child: "list[Callable[[], object]]" = []


def fork_into(run: "Callable[[], object]") -> int:
    """Fork; the new process calls `run` and ends. Returns its pid to the caller.

    With the C library's fork and not os.fork, whose handlers reset the locks of threads that do not exist here
    (threading, logging, concurrent.futures) and cost each worker 0.7 ms and 0.75 MB of copied memory. The handlers
    of packages do run: see `note_handlers`. The caller must have one thread.
    """
    pid: int = _fork()
    if pid == 0:
        _become(run)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "fork was refused")
    return pid


def note_handlers() -> None:
    """From now on, note what packages register with os.register_at_fork, and run it in every new process."""
    register = os.register_at_fork

    def noting(**handlers: Any) -> None:
        register(**handlers)
        handler = handlers.get("after_in_child")
        if handler is not None and _owner(handler) not in sys.stdlib_module_names:
            _in_child.append(handler)

    os.register_at_fork = noting


def _owner(handler: Any) -> str:
    """The top-level module that a handler belongs to; of a method, its object's."""
    module = getattr(handler, "__module__", None) or getattr(getattr(handler, "__self__", None), "__module__", "")
    return str(module).partition(".")[0]


def _become(run: "Callable[[], object]") -> NoReturn:
    code = 1
    try:
        for handler in _in_child:
            handler()
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
