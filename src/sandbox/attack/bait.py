"""What attacks are to find, if they can: secrets, sockets, files and a process of the host, made for them alone.

Everything is made by `laid` and gone at its end. Nothing of the user's is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONTENT = "a secret of the host"
_ELSEWHERE = "/var/tmp"  # noqa: S108 - what is made there has a name that nobody can guess
_IPC_PRIVATE, _IPC_RMID, _SIZE = 0, 0, 4096
_libc = ctypes.CDLL(None, use_errno=True)


class Bait(dict[str, Any]):
    """Each thing by its name; `harm` says what was done to them."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[str, socket.socket] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def harm(self) -> list[str]:
        """What happened to the bait that must not have."""
        found = [f"something connected or sent to the host's {name}" for name in self.servers if self._touched(name)]
        if self.process is not None and self.process.poll() is not None:
            found.append("a process of the host was ended")
        secret = Path(self["secret"])
        if not secret.exists() or secret.read_text("utf-8") != CONTENT or secret.stat().st_mode & 0o777 != 0o666:
            found.append("a file of the host was changed")
        new = set(os.listdir(self["place"])) - self["names"]
        return found + [f"a file {name!r} was made on the host" for name in sorted(new)]

    def _touched(self, name: str) -> bool:
        server = self.servers[name]
        try:
            if server.type == socket.SOCK_DGRAM:
                server.recv(64)
            else:
                server.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def laid() -> Iterator[Bait]:
    """Lay the bait. It has to be there before an engine starts, which may inherit some of it."""
    bait = Bait()
    with contextlib.ExitStack() as stack:
        for lay in (_files, _sockets, _process, _shared_memory, _variable, _descriptor):
            stack.enter_context(lay(bait))
        bait["names"] = set(os.listdir(bait["place"]))
        yield bait


@contextlib.contextmanager
def _files(bait: Bait) -> Iterator[None]:
    """A directory in which every uid may do everything: only the sandbox keeps code out of it."""
    # Not in /tmp: a sandbox has one of its own, so that nothing could be learned of other places.
    parent = _ELSEWHERE if os.access(_ELSEWHERE, os.W_OK) else None
    place = Path(tempfile.mkdtemp(prefix="sandbox-bait-", dir=parent))
    place.chmod(0o777)
    secret, program = place / "secret", place / "program"
    secret.write_text(CONTENT, "utf-8")
    secret.chmod(0o666)
    program.write_text("#!/bin/sh\necho ran\n", "utf-8")
    program.chmod(0o755)
    bait |= {"place": str(place), "secret": str(secret), "program": str(program)}
    try:
        yield
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def _sockets(bait: Bait) -> Iterator[None]:
    abstract = f"\0sandbox-bait-{secrets.token_hex(8)}"
    paths = {name: f"{bait['place']}/{name}" for name in ("stream", "datagram")}
    with contextlib.ExitStack() as stack:
        bait.servers["loopback"] = socket.create_server(("127.0.0.1", 0))
        for name, address in (("abstract socket", abstract), ("socket file", paths["stream"])):
            bait.servers[name] = socket.socket(socket.AF_UNIX)
            bait.servers[name].bind(address)
            bait.servers[name].listen()
        bait.servers["datagram socket"] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bait.servers["datagram socket"].bind(paths["datagram"])
        for server in bait.servers.values():
            stack.enter_context(server)
            server.setblocking(False)
        for path in paths.values():
            os.chmod(path, 0o777)  # noqa: S103 - so that nothing but the sandbox keeps code from it
        bait |= {**paths, "abstract": abstract, "loopback": list(bait.servers["loopback"].getsockname())}
        yield


@contextlib.contextmanager
def _process(bait: Bait) -> Iterator[None]:
    """A process of the same user as the engine."""
    with subprocess.Popen(["sleep", "3600"], env={"TOKEN": CONTENT}) as process:
        bait.process, bait["process"] = process, process.pid
        bait["secret of process"] = f"/proc/{process.pid}/root{bait['secret']}"
        try:
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def _shared_memory(bait: Bait) -> Iterator[None]:
    """A System V segment that every user may read; -1 where this kernel makes none."""
    identifier = int(_libc.shmget(_IPC_PRIVATE, ctypes.c_size_t(_SIZE), 0o1666))
    bait["shared_memory"] = identifier
    if identifier < 0:
        yield
        return
    _libc.shmat.restype = ctypes.c_void_p
    address = _libc.shmat(identifier, None, 0)
    ctypes.memmove(address, CONTENT.encode() + b"\0", len(CONTENT) + 1)
    _libc.shmdt(ctypes.c_void_p(address))
    try:
        yield
    finally:
        _libc.shmctl(identifier, _IPC_RMID, None)


@contextlib.contextmanager
def _variable(bait: Bait) -> Iterator[None]:
    """A variable in this process's environment, as API keys are."""
    name, value = f"SANDBOX_BAIT_{secrets.token_hex(4).upper()}", secrets.token_hex(12)
    os.environ[name] = value
    # Told in a form in which a search of the whole memory for the value does not find its own argument.
    bait |= {"variable": name, "disguised": value.encode()[::-1].hex()}
    try:
        yield
    finally:
        del os.environ[name]


@contextlib.contextmanager
def _descriptor(bait: Bait) -> Iterator[None]:
    """An open file that processes started from this one inherit."""
    fd = os.open(bait["secret"], os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        yield
    finally:
        os.close(fd)
