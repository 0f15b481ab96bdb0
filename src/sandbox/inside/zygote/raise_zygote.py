"""How the zygote gets into its namespaces: the steps that take two processes, one inside and one outside.

    keeper                                   first                             zygote
    fork ----------------------------------> unshare the user namespace
    write its id maps  <-------------------- "unshared"
    "mapped" ------------------------------> unshare mounts, network and ipc,
                                             clone what the view shows,
                                             unshare pids, fork -------------> build the view, let go of the host
    keep descriptors of its namespaces <------------------------------------- "built"
    "exit" --------------------------------> end: the keeper is now
                                             the zygote's parent
    "serve" ----------------------------------------------------------------> serve the engine

An ordinary user maps only itself. Root maps a range of unprivileged ids, and nothing inside is the host's root.
"""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from .. import kernel
from ..contain import read_only_view
from ..contain.restriction import HOSTNAME, NAMESPACES
from .fork import fork_into
from .server import Boot, Zygote

_T = TypeVar("_T")
_MOST = 65536


class Raised(NamedTuple):
    """A zygote that serves, and descriptors of the namespaces it was built in (-1 without)."""

    pid: int
    user_namespace: int = -1
    mount_namespace: int = -1


class Failure(Exception):
    """The zygote could not be raised; `report` has the step's restriction, the errno and the message."""

    def __init__(self, report: "dict[str, Any]") -> None:
        super().__init__(report["message"])
        self.report = report


def raise_zygote(boot: Boot, zygote_fd: int, engine: socket.socket) -> Raised:
    """Fork the zygote at the boot's level. Raises Failure."""
    to_zygote, zygote_end = socket.socketpair()
    with to_zygote, zygote_end:
        run = _Run(boot, zygote_fd, zygote_end, (to_zygote, engine))
        if boot.level == NAMESPACES:
            return _raise_in_namespaces(run, to_zygote)
        pid = fork_into(lambda: _zygote(run, {}))
        zygote_end.close()
        _hear(to_zygote, "built")
        _say(to_zygote, "serve")
        return Raised(pid)


def _raise_in_namespaces(run: "_Run", to_zygote: socket.socket) -> Raised:
    """The keeper's side of the table above."""
    to_first, first_end = socket.socketpair()
    with to_first, first_end:
        first = fork_into(lambda: _first(run, first_end, to_first))
        first_end.close()
        run.keeper.close()
        _hear(to_first, "unshared")
        _write_maps(run.boot, first)
        _say(to_first, "mapped")
        zygote = int(_hear(to_first, "forked"))
        _hear(to_zygote, "built")
        held = [os.open(f"/proc/{first}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("user", "mnt")]
        _say(to_first, "exit")
        os.waitpid(first, 0)
        _say(to_zygote, "serve")
        return Raised(zygote, *held)


class _Run(NamedTuple):
    """What the zygote starts with: its sockets to the engine and the keeper, and those that it must not keep."""

    boot: Boot
    engine_fd: int
    keeper: socket.socket
    foreign: "tuple[socket.socket, ...]"


def _write_maps(boot: Boot, pid: int) -> None:
    if boot.own_ids:
        first, count = boot.own_ids
        maps = [("uid_map", f"0 {first} {count}"), ("gid_map", f"0 {first} {count}")]
    else:
        maps = [("setgroups", "deny"), ("uid_map", f"0 {os.getuid()} 1"), ("gid_map", f"0 {os.getgid()} 1")]
    for name, text in maps:
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            _step("user_namespace", lambda fd=fd, text=text: os.write(fd, text.encode()))  # type: ignore[misc]
        finally:
            os.close(fd)


# --- the first process ----------------------------------------------------------------------------------------------


def _first(run: _Run, keeper: socket.socket, foreign: socket.socket) -> None:
    """Make the namespaces, fork the zygote into them, and end when told to."""
    _die_with_parent()
    foreign.close()
    with _reported(keeper):
        _step("user_namespace", lambda: kernel.unshare_now(kernel.CLONE_NEWUSER))
        _say(keeper, "unshared")
        _hear(keeper, "mapped")
        _step("mount_namespace", lambda: kernel.unshare_now(kernel.CLONE_NEWNS))
        kernel.mount_now(None, "/", None, kernel.MS_REC | kernel.MS_SLAVE)
        _leave_networks(run.boot)
        trees = _step("read_only_view", lambda: read_only_view.clone_mounts(run.boot.view))
        _step("pid_namespace", lambda: kernel.unshare_now(kernel.CLONE_NEWPID))
        pid = fork_into(lambda: _zygote(run._replace(foreign=(*run.foreign, keeper)), trees))
        run.keeper.close()
        _say(keeper, f"forked {pid}")
        _hear(keeper, "exit")


def _leave_networks(boot: Boot) -> None:
    """Packages are imported in the zygote: they must not reach a network that the sandboxes do not have either."""
    if boot.network != "host" and "network_namespace" not in boot.without:
        _step("network_namespace", lambda: kernel.unshare_now(kernel.CLONE_NEWNET))
    if "ipc_namespace" not in boot.without:
        _step("ipc_namespace", lambda: kernel.unshare_now(kernel.CLONE_NEWIPC))


def _zygote(run: _Run, trees: "dict[str, int]") -> None:
    for one in run.foreign:
        one.close()
    kernel.do(kernel.set_process_name("sandbox-zygote"), "prctl")
    with _reported(run.keeper):
        if run.boot.level == NAMESPACES:
            _step("read_only_view", lambda: _enter_view(run.boot, trees))
        else:
            kernel.do(kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER")
        _say(run.keeper, "built")
        _hear(run.keeper, "serve")
        if run.boot.level == NAMESPACES:
            # Only now: until this word the parent was the process that has just ended. Without a pid namespace the
            # zygote must not die before it has ended what its workers started: the engine's socket tells it when.
            _die_with_parent()
    run.keeper.close()
    Zygote(run.boot, socket.socket(fileno=run.engine_fd)).serve()


def _enter_view(boot: Boot, trees: "dict[str, int]") -> None:
    if boot.own_ids:
        # Packages are imported later, and their code is as little trusted as a worker's: stop being the host's root.
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        kernel.do(kernel.prctl(kernel.PR_SET_DUMPABLE, 1), "PR_SET_DUMPABLE")
    # The host's name too: packages ask for it while they are imported, and remember the answer.
    kernel.unshare_now(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
    socket.sethostname(HOSTNAME)
    read_only_view.build(boot.view, trees)


def _die_with_parent() -> None:
    kernel.do(kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL), "PR_SET_PDEATHSIG")


# --- talking --------------------------------------------------------------------------------------------------------


def _step(restriction: str, action: "Callable[[], _T]") -> _T:
    """Run a step; an OSError becomes a Failure that names the restriction it was about."""
    try:
        return action()
    except OSError as error:
        raise Failure({"step": restriction, "errno": error.errno or 0, "message": str(error)}) from error


@contextlib.contextmanager
def _reported(keeper: socket.socket) -> "Iterator[None]":
    """Send a Failure to the keeper, and end."""
    try:
        yield
    except Failure as failure:
        keeper.sendall(json.dumps(failure.report).encode() + b"\n")
        raise SystemExit(1) from failure


def _say(to: socket.socket, word: str) -> None:
    to.sendall(word.encode() + b"\n")


def _hear(other: socket.socket, word: str) -> str:
    """Wait for a word, and return what came after it. Raises Failure for anything else."""
    line = b""
    while not line.endswith(b"\n") and len(line) < _MOST:
        byte = other.recv(1)
        if not byte:
            raise Failure({"step": "", "errno": 0, "message": f"the other process ended before it said {word!r}"})
        line += byte
    if line.startswith(b"{"):
        raise Failure(json.loads(line))
    said, _, rest = line.decode().strip().partition(" ")
    if said != word:
        raise Failure({"step": "", "errno": 0, "message": f"heard {said!r} where {word!r} was expected"})
    return rest
