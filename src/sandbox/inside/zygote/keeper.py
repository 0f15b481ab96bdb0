"""The keeper: starts the zygote, and outlives both ends to clean up.

    engine --> keeper --> zygote --> workers
               |          process 1 of its pid namespace, root only of its user namespace, in the read-only view
               with the rights of the user who started it, and no part in what runs inside

It ends when the engine's socket closes, and kills the zygote (and with process 1 of a pid namespace all that is in
it). If the engine had not said goodbye, it has died, however: then the keeper also removes the control groups and
the run directory. If the keeper itself is killed, the zygote goes with it (PR_SET_PDEATHSIG), and the next engine
sweeps the files.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from .. import kernel, tidy
from . import channel, clone, orphans
from .raise_zygote import Failure, Raised, raise_zygote
from .server import Boot

_CLEAN_UP_SECONDS = 10.0


def main(engine_fd: int) -> None:
    """Run on the engine's socket until it closes. The first message says what to start."""
    engine = socket.socket(fileno=engine_fd)
    first = channel.receive(engine)
    if first is None:
        return
    message, (zygote_fd, log_fd) = first
    os.dup2(log_fd, 2)
    os.close(log_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.do(kernel.set_process_name("sandbox-keeper"), "prctl")
    # What the zygote leaves behind comes here, so that it can be ended.
    kernel.do(kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER")
    try:
        raised = raise_zygote(Boot.parse(message), zygote_fd, engine)
    except Failure as failure:
        channel.send(engine, {"failed": failure.report})
    else:
        os.close(zygote_fd)
        channel.send(engine, {"started": {"zygote": raised.pid}})
        goodbye = _serve(engine, raised)
        _end(raised.pid)
        if not goodbye:
            _remove(message["remove"])


def _serve(engine: socket.socket, raised: Raised) -> bool:
    """Answer the engine until it is gone; return whether it said goodbye."""
    zygote_fd = os.pidfd_open(raised.pid)
    poll = select.poll()
    poll.register(engine, select.POLLIN)
    poll.register(zygote_fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if zygote_fd in ready:
            poll.unregister(zygote_fd)
            with contextlib.suppress(OSError):
                channel.send(engine, {"zygote_ended": os.waitstatus_to_exitcode(os.waitpid(raised.pid, 0)[1])})
        if engine.fileno() not in ready:
            continue
        received = channel.receive(engine)
        if received is None or "goodbye" in received[0]:
            return received is not None
        _clone_for_engine(engine, raised, received[0]["clone"])


def _clone_for_engine(engine: socket.socket, raised: Raised, wanted: "list[dict[str, Any]]") -> None:
    try:
        trees = clone.clone(raised, wanted)
    except OSError as error:
        channel.send(engine, {"refused": {"errno": error.errno or 0, "message": str(error)}})
        return
    channel.send(engine, {"cloned": len(trees)}, tuple(trees))
    for tree in trees:
        os.close(tree)


def _end(zygote: int) -> None:
    """End the zygote and with it every worker."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(zygote, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(zygote, 0)
    orphans.end_all(set())


def _remove(what: "dict[str, list[str]]") -> None:
    """Remove what the engine would have removed.

    Tried again for a while: a killed process leaves its control group a moment later, and another zygote's keeper
    may be at it too.
    """
    deadline = time.monotonic() + _CLEAN_UP_SECONDS
    while (left := _left(what)) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left:
        sys.stderr.write(f"sandbox-keeper: could not remove {left}\n")


def _left(what: "dict[str, list[str]]") -> "list[str]":
    left = tidy.remove_cgroups(what["cgroups"])
    for path in what["trees"]:
        try:
            tidy.remove_tree(path)
        except OSError as error:
            left.append(f"{path}: {error}")
    return left
