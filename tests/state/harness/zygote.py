"""Forks workers that have numpy, pandas and matplotlib imported, as the product's zygote does. One thread, no loop."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from typing import Any

from tests.state.harness.link import Closed, Link
from tests.state.harness.worker import Worker

WARM = ("numpy", "pandas", "matplotlib.pyplot")


def main(fd: int) -> None:
    """Serve until the harness closes the socket. Each request carries the socket of the worker that it asks for."""
    for name in WARM:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    link = Link(socket.socket(fileno=fd))
    while True:
        try:
            request, _, fds = link.receive()
        except Closed:
            return
        _reap()
        pid = os.fork()
        if pid == 0:
            link.close()
            _become_worker(request, fds[0])
        os.close(fds[0])
        link.send({"pid": pid})


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become_worker(request: dict[str, Any], fd: int) -> None:
    """Serve one session's requests. Whatever happens, this process never returns into the zygote's code."""
    try:
        os.setsid()  # so that the harness can end it together with what it starts
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(request["workspace"])
        sys.path[0] = ""
        sys.argv = [""]
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        Worker(Link(socket.socket(fileno=fd)), request["saver"]).serve()
    except Closed:
        pass
    except BaseException:  # noqa: BLE001 - it is told to whoever runs the tests, and the process ends
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
