"""Chromium for looking at a page that nobody has read: no rights, no network but the app's port, limits, and an end.

It runs with its own sandbox or not at all. Where this program is root, Chromium gets a uid of nobody's. What it may
use is held by a control group, where there are some. It is told what to do through a pair of pipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from sandbox.engine import cgroups
from sandbox.engine.forker import settle
from sandbox.engine.ids import Ids
from sandbox.engine.launcher import Launcher, remove_group
from sandbox.engine.web.devtools import Devtools, DevtoolsError
from sandbox.inside import tidy

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MEMORY, _CPUS, _PROCESSES = 1 << 30, 1.0, 512
_END_SECONDS = 5.0
_PREFIX, _STALE_SECONDS = "sandbox-chromium-", 600.0
# Puts the pipes where Chromium looks for them, joins the control group, and leaves the caller's rights.
_STUB = """
import ctypes, fcntl, os, signal, sys
reads, writes, user, *groups = map(int, sys.argv[1].split(","))
for group in groups:
    os.write(group, b"0")
# First out of the way, to numbers that nothing has: either may be 3 or 4 itself.
reads, writes = (fcntl.fcntl(fd, fcntl.F_DUPFD, 5) for fd in (reads, writes))
os.dup2(reads, 3); os.dup2(writes, 4)
os.closerange(5, 65536)
if user:
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
os.chdir(os.environ["HOME"])
os.execv(sys.argv[2], sys.argv[2:])
"""
_FLAGS = (
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-breakpad", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", "--mute-audio",
    "--password-store=basic", "--deny-permission-prompts", "--block-new-web-contents",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--proxy-server=http://nowhere.invalid:1",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
)  # fmt: skip


class NoChromium(Exception):
    """There can be no picture; the message says why."""


def find() -> str:
    """Return the path of Chromium or Chrome. Raises NoChromium."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise NoChromium(f"this machine has no Chromium: none of {', '.join(_NAMES)} is in PATH")


class Chromium:
    """One process with a throw-away profile, for `async with`. `devtools` is the way to speak to it."""

    devtools: Devtools

    def __init__(self, launcher: Launcher, port: int) -> None:
        self._launcher = launcher
        self._port = port
        self._user = 0
        self._profile = Path()
        self._group: cgroups.Group | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        program = find()
        await asyncio.to_thread(_sweep, self._launcher.ids)
        try:
            self._make_place()
            self._start(program)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    def said(self) -> str:
        """The end of what it has printed."""
        with contextlib.suppress(OSError):
            return (self._profile / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        return ""

    def _make_place(self) -> None:
        ids = self._launcher.ids
        self._user = ids.take()
        owner = ids.on_host(self._user)
        if owner is None and os.geteuid() == 0:
            raise NoChromium("this program is root and has no other user's rights to give to Chromium")
        # Not below our own directory: as root, others may not enter that; and its path may be long, while
        # that of the socket which Chromium makes here can have 107 bytes.
        self._profile = Path(tempfile.mkdtemp(prefix=_PREFIX))
        if owner is not None:
            os.chown(self._profile, owner, owner)
        if self._launcher.groups is not None:
            self._group = self._launcher.groups.make(f"chromium-{os.urandom(4).hex()}")
            self._group.limit(_MEMORY, _CPUS, _PROCESSES)

    def _start(self, program: str) -> None:
        theirs_in, ours_out = os.pipe2(os.O_CLOEXEC)
        ours_in, theirs_out = os.pipe2(os.O_CLOEXEC)
        joins = self._group.open() if self._group is not None else []
        user = self._launcher.ids.on_host(self._user) or 0
        numbers = ",".join(map(str, (theirs_in, theirs_out, user, *joins)))
        try:
            with (self._profile / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _STUB, numbers, program, *_FLAGS, *self._own_flags()],
                    env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    pass_fds=(theirs_in, theirs_out, *joins), start_new_session=True,
                )  # fmt: skip
        except BaseException:
            os.close(ours_in)
            os.close(ours_out)
            raise
        finally:
            for fd in (theirs_in, theirs_out, *joins):
                os.close(fd)
        self.devtools = Devtools(ours_in, ours_out)

    def _own_flags(self) -> tuple[str, ...]:
        # The loopback is reached without the proxy unless that is said, and then the app's port alone is.
        return f"--user-data-dir={self._profile}/profile", f"--proxy-bypass-list=<-loopback>;127.0.0.1:{self._port}"

    def _environment(self) -> dict[str, str]:
        home = str(self._profile)
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}

    async def _end(self) -> None:
        if self._process is not None:
            self.devtools.close()
            await self._kill(self._process)
        if self._group is not None:
            await remove_group(self._group)
        if self._profile.name:
            await asyncio.to_thread(tidy.remove_tree, str(self._profile))
        self._launcher.ids.give_back(self._user)

    async def _kill(self, process: subprocess.Popen[Any]) -> None:
        """Kill its process group. What it had begun outside of that ends when its pipe closes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        pidfd = os.pidfd_open(process.pid)
        loop.add_reader(pidfd, settle, ended)
        try:
            await asyncio.wait([ended], timeout=_END_SECONDS)
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        process.wait()


def _sweep(ids: Ids) -> None:
    """Remove what engines that were killed have left: directories of ours, and so old as no picture takes to make."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            ours = ids.owns(status.st_uid) or status.st_uid == os.geteuid()
            if ours and time.time() - status.st_ctime > _STALE_SECONDS:
                tidy.remove_tree(str(path))


__all__ = ["Chromium", "DevtoolsError", "NoChromium", "find"]
