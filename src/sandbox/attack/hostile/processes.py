"""Processes, namespaces, ids and rights."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_F_SETSIG = 10


def pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def own_pids() -> list[int]:
    """This process and those that it has started."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return sorted([os.getpid(), *map(int, file.read().split())])


def pids_of_others() -> list[int]:
    itself = os.readlink("/proc/self")  # not its pid, where /proc is another namespace's
    with open(f"/proc/self/task/{itself}/children", encoding="ascii") as file:
        own = {int(itself), *map(int, file.read().split())}
    return [pid for pid in pids() if pid not in own]


def can_signal(pid: int) -> bool:
    """Whether a process could be signalled. It is not."""
    os.kill(pid, 0)
    return True


def kill(pid: int, number: int = signal.SIGTERM) -> None:
    os.kill(pid, number)


def own_status() -> dict[str, str]:
    with open("/proc/self/status", encoding="utf-8") as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


def namespaces() -> dict[str, str]:
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in ("user", "pid", "mnt", "net", "ipc", "uts")}


def host_name() -> str:
    return socket.gethostname()


def name_of_the_host(given: str) -> str:
    """The host's name, unless it is the one that sandboxes are given."""
    name = socket.gethostname()
    return "" if name == given else name


def shared_memory(identifier: int) -> str:
    """Attach a System V shared memory segment and read it."""
    _libc.shmat.restype = ctypes.c_void_p
    address = _libc.shmat(identifier, None, 0o10000)
    if address in {None, ctypes.c_void_p(-1).value}:
        raise OSError(ctypes.get_errno(), "shmat")
    text = ctypes.string_at(address, 16).rstrip(b"\0").decode()
    _libc.shmdt(ctypes.c_void_p(address))
    return text


def change_affinity(pid: int = 0) -> int:
    """Leave the cpus that a process was kept on."""
    os.sched_setaffinity(pid, range(os.cpu_count() or 1))
    return len(os.sched_getaffinity(pid))


def take_priority_from(pid: int) -> bool:
    """Make a process nicer than it is."""
    os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid) + 1)
    return True


def have_signalled(pid: int) -> None:
    """Have the kernel send a signal to a process: as the owner of a descriptor that becomes readable."""
    ready, other = socket.socketpair()
    fcntl.fcntl(ready, fcntl.F_SETOWN, pid)
    fcntl.fcntl(ready, _F_SETSIG, int(signal.SIGTERM))
    fcntl.fcntl(ready, fcntl.F_SETFL, fcntl.fcntl(ready, fcntl.F_GETFL) | os.O_ASYNC)
    other.send(b"x")
    ready.close()
    other.close()


def ids() -> dict[str, Any]:
    return {"uid": list(os.getresuid()), "gid": list(os.getresgid()), "groups": os.getgroups()}


def id_map() -> list[list[int]]:
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return [[int(part) for part in line.split()] for line in file]


def become(uid: int) -> None:
    os.setresuid(uid, uid, uid)


def can_become(uid: int) -> bool:
    """Whether a child could become this user."""
    child = os.fork()
    if child == 0:
        try:
            become(uid)
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))
    return True


def rights_held() -> list[str]:
    """Sets of capabilities that are in use, or could be taken into use, and are not empty."""
    status = own_status()
    return [name for name in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(status[name], 16)]


def can_gain_rights() -> bool:
    """Whether a program with the set-user-id bit would run as its owner."""
    return own_status()["NoNewPrivs"] == "0"


def set_secure_bits() -> bool:
    """A privilege of CAP_SETPCAP that no filter refuses."""
    if _libc.prctl(28, ctypes.c_ulong(1), 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECUREBITS)")
    return True
