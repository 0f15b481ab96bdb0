"""The keeper: makes the namespaces, starts the zygote in them, and outlives both ends to clean up.

    host --> keeper --> zygote --> workers
             |          process 1 of its pid namespace, in the read-only view
             in new user and mount namespaces, but still with the host's files: it clones the directories that
             sandboxes mount, and removes what is left when the host dies

It ends when the host's socket closes, however the host died: kills the zygote (and with process 1 of a pid
namespace all that is in it), removes the control groups and the run directory, and is gone. If the keeper itself
is killed, the zygote goes with it (PR_SET_PDEATHSIG) and the next engine sweeps the files.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from .. import kernel, tidy
from ..contain import read_only_view
from ..contain.policy import LANDLOCK, NAMESPACES, NONE
from . import channel
from .fork import fork_into
from .server import Boot, Zygote

_CLEAN_UP_SECONDS = 10.0
_T = TypeVar("_T")


def main(host_fd: int) -> None:
    """Run on the host's socket until it closes. The first message says what to start."""
    host = socket.socket(fileno=host_fd)
    first = channel.receive(host)
    if first is None:
        return
    message, (zygote_fd, log_fd) = first
    os.dup2(log_fd, 2)
    os.close(log_fd)
    boot = Boot.parse(message)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.set_process_name("sandbox-keeper")
    try:
        zygote = _start(boot, zygote_fd, host)
    except OSError as error:
        step = getattr(error, "step", "")
        channel.send(host, {"failed": {"step": step, "errno": error.errno, "message": str(error)}})
        return
    os.close(zygote_fd)
    channel.send(host, {"started": {"zygote": zygote}})
    _serve(host, zygote)
    _clean_up(zygote, message["remove"])


def _start(boot: Boot, zygote_fd: int, host: socket.socket) -> int:
    """Fork the zygote at the boot's level; return its pid."""
    trees: dict[str, int] = {}
    if boot.level == NAMESPACES:
        _step("user_namespace", lambda: _user_namespace(boot))
        _step("mount_namespace", lambda: kernel.unshare(kernel.CLONE_NEWNS))
        kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_SLAVE)
        trees = _step("read_only_view", lambda: read_only_view.clone_mounts(boot.view))
        _step("pid_namespace", lambda: kernel.unshare(kernel.CLONE_NEWPID))
    ready, started = os.pipe()

    def run() -> None:
        host.close()
        os.close(ready)
        _zygote(boot, zygote_fd, trees, started)

    pid = fork_into(run)
    os.close(started)
    for fd in trees.values():
        os.close(fd)
    with open(ready, "rb") as pipe:
        answer = pipe.read()
    if answer != b"ok":
        os.waitpid(pid, 0)
        number, _, text = answer.decode().partition(" ")
        raise _step_error("read_only_view", OSError(int(number or 0), text or "the zygote died at its start"))
    return pid


def _zygote(boot: Boot, zygote_fd: int, trees: "dict[str, int]", started: int) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.set_process_name("sandbox-zygote")
    try:
        if boot.level == NAMESPACES:
            if boot.own_ids:
                _become_inside_root()
            kernel.unshare(kernel.CLONE_NEWNS)
            read_only_view.build(boot.view, trees)
        elif boot.level in {LANDLOCK, NONE}:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    except OSError as error:
        os.write(started, f"{error.errno} {error}".encode())
        return
    os.write(started, b"ok")
    os.close(started)
    Zygote(boot, socket.socket(fileno=zygote_fd)).serve()


def _become_inside_root() -> None:
    """Leave the host's root for the first unprivileged id of the range; inside, that is root of the user namespace.

    Packages are imported later: their code is as little trusted as a worker's.
    """
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # cleared by the change of ids


def _user_namespace(boot: Boot) -> None:
    """Enter a new user namespace. Root maps a range of unprivileged ids, an ordinary user only itself."""
    if boot.own_ids:
        _map_range_from_outside(boot.own_ids)
        return
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _map_range_from_outside(own_ids: "tuple[int, int]") -> None:
    """A range can only be mapped by a process that has rights outside: fork one before leaving."""
    target = os.getpid()
    begin, go = os.pipe()
    first, count = own_ids

    def write_maps() -> None:
        os.close(go)
        os.read(begin, 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{target}/{name}", "w", encoding="ascii") as file:
                file.write(f"0 {first} {count}")

    helper = fork_into(write_maps)
    os.close(begin)
    try:
        kernel.unshare(kernel.CLONE_NEWUSER)
        os.write(go, b"1")
    finally:
        os.close(go)
        _, status = os.waitpid(helper, 0)
    if status:
        raise OSError(1, "mapping a range of user ids was refused")


def _step(name: str, action: Callable[[], _T]) -> _T:
    try:
        return action()
    except OSError as error:
        raise _step_error(name, error) from error


def _step_error(name: str, error: OSError) -> OSError:
    """Note on the error which restriction it was about, for the host's message."""
    error.step = name  # type: ignore[attr-defined]
    return error


def _serve(host: socket.socket, zygote: int) -> None:
    """Answer the host until it is gone or the zygote has ended."""
    zygote_fd = os.pidfd_open(zygote)
    poll = select.poll()
    poll.register(host, select.POLLIN)
    poll.register(zygote_fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if zygote_fd in ready:
            with contextlib.suppress(OSError):
                channel.send(host, {"zygote_ended": os.waitstatus_to_exitcode(os.waitpid(zygote, 0)[1])})
            return
        received = channel.receive(host)
        if received is None:
            return
        _answer(host, *received)


def _answer(host: socket.socket, message: dict[str, Any], fds: "list[int]") -> None:
    for fd in fds:
        os.close(fd)
    try:
        trees = [_clone(wanted) for wanted in message["clone"]]
    except OSError as error:
        channel.send(host, {"refused": {"errno": error.errno, "message": str(error)}})
        return
    channel.send(host, {"cloned": len(trees)}, tuple(trees))
    for tree in trees:
        os.close(tree)


def _clone(wanted: dict[str, Any]) -> int:
    """Clone one directory or file of the host. It must still be the one that the engine resolved."""
    tree = kernel.open_tree(wanted["path"])
    found = os.fstat(tree)
    if (found.st_dev, found.st_ino) != (wanted["device"], wanted["inode"]):
        os.close(tree)
        raise OSError(2, f"{wanted['path']} was replaced while it was being mounted")
    attributes = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
    kernel.mount_setattr(tree, attributes if wanted["writable"] else attributes | kernel.MOUNT_ATTR_RDONLY)
    return tree


def _clean_up(zygote: int, remove: dict[str, Any]) -> None:
    """End the zygote and with it every worker, then remove what the engine would have removed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(zygote, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(zygote, 0)
    deadline = time.monotonic() + _CLEAN_UP_SECONDS
    # A killed process leaves its control group a moment after it is gone from its parent.
    while (busy := tidy.remove_cgroups(remove["cgroups"])) and time.monotonic() < deadline:
        time.sleep(0.02)
    if busy:
        sys.stderr.write(f"sandbox-keeper: still in use: {' '.join(busy)}\n")
    for path in remove["trees"]:
        tidy.remove_tree(path)
