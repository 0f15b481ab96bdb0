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
from typing import IO, Self

from sandbox.engine import cgroups, ends
from sandbox.engine.ids import Ids
from sandbox.engine.launcher import Launcher, remove_group
from sandbox.engine.waiting import uncancelled
from sandbox.engine.web.devtools import Devtools, DevtoolsError
from sandbox.inside import tidy

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MEMORY, _CPUS, _PROCESSES = 1 << 30, 1.0, 512
_END_SECONDS = 5.0
_MOST_SAID = 2000
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
        self._log: IO[bytes]
        self._group: cgroups.Group | None = None
        self._made = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        program = find()
        await asyncio.to_thread(_sweep, self._launcher.ids)
        try:
            self._make_place()
            self._start(program)
        except BaseException:
            await uncancelled(self._made.aclose())
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await uncancelled(self._made.aclose())

    def said(self) -> str:
        """The end of what it has printed."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), _MOST_SAID, max(0, size - _MOST_SAID)).decode("utf-8", "replace")

    def _make_place(self) -> None:
        ids = self._launcher.ids
        self._user = ids.take()
        self._made.callback(ids.give_back, self._user)
        owner = ids.on_host(self._user)
        if owner is None and os.geteuid() == 0:
            raise NoChromium("this program is root and has no other user's rights to give to Chromium")
        # Without a name: what lies in its own directory Chromium could replace, with a link to a file of ours.
        self._log = self._made.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is one
        # Not below our own directory: as root, others may not enter that; and its path may be long, while
        # that of the socket which Chromium makes here can have 107 bytes.
        self._profile = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._made.push_async_callback(asyncio.to_thread, tidy.remove_tree, str(self._profile))
        if owner is not None:
            os.chown(self._profile, owner, owner)
        if self._launcher.groups is not None:
            self._group = self._launcher.groups.make(f"chromium-{os.urandom(4).hex()}")
            self._made.push_async_callback(remove_group, self._group)
            self._group.limit(_MEMORY, _CPUS, _PROCESSES)

    def _start(self, program: str) -> None:
        user = self._launcher.ids.on_host(self._user) or 0
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            theirs_in, ours_out = ends.pipe(theirs, ours)
            ours_in, theirs_out = ends.pipe(ours, theirs)
            joins = ends.given(theirs, self._group.open() if self._group is not None else [])
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _STUB, ",".join(map(str, (theirs_in, theirs_out, user, *joins))),
                 program, *_FLAGS, *self._own_flags()],
                env=self._environment(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                pass_fds=(theirs_in, theirs_out, *joins), start_new_session=True,
            )  # fmt: skip
            self._made.push_async_callback(_killed, process)
            self.devtools = Devtools(ours_in, ours_out)
            self._made.callback(self.devtools.close)
            ours.pop_all()

    def _own_flags(self) -> tuple[str, ...]:
        # The loopback is reached without the proxy unless that is said, and then the app's port alone is.
        return f"--user-data-dir={self._profile}/profile", f"--proxy-bypass-list=<-loopback>;127.0.0.1:{self._port}"

    def _environment(self) -> dict[str, str]:
        home = str(self._profile)
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}


async def _killed(process: subprocess.Popen[bytes]) -> None:
    """Kill its process group. What it had begun outside of that ends when its pipe closes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # it waits in the kernel, and ends after that
        await asyncio.to_thread(process.wait, _END_SECONDS)


def _sweep(ids: Ids) -> None:
    """Remove what engines that were killed have left: directories of ours, and so old as no picture takes to make."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            ours = ids.owns(status.st_uid) or status.st_uid == os.geteuid()
            if ours and time.time() - status.st_ctime > _STALE_SECONDS:
                tidy.remove_tree(str(path))


__all__ = ["Chromium", "DevtoolsError", "NoChromium", "find"]
