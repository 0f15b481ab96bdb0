"""A keeper's process, before it is told what to keep.

Starting it and importing asyncio take about as long, so a program that is in a hurry starts it first. This module
therefore imports little, and knows nothing of the event loop.
"""

from __future__ import annotations

import os
import socket
import subprocess

import sandbox.inside

_MOST_SAID = 4000
# Names the package in the zygote's memory; the package's own name would import the host's code there. Compiled
# files are kept, as for any package, but only of what the keeper itself imports: later nothing may be written.
_BOOT = (
    "import os,sys,types;m=types.ModuleType('sandbox_inside');m.__path__=[sys.argv[1]];sys.modules[m.__name__]=m;"
    "from sandbox_inside.zygote.keeper import main;sys.dont_write_bytecode=True;main(int(sys.argv[2]));os._exit(0)"
)


class KeeperProcess:
    """Waits on `socket` for its first message, and ends when the socket closes."""

    def __init__(self, executable: str) -> None:
        self.executable = executable
        self._last_words = ""
        self._said = os.memfd_create("sandbox-keeper")
        try:
            self._begin()
        except BaseException:
            os.close(self._said)
            raise

    def _begin(self) -> None:
        self.socket, theirs = seqpacket()
        try:
            self._start(theirs)
        except BaseException:
            self.socket.close()
            raise

    def _start(self, theirs: socket.socket) -> None:
        command = [self.executable, "-s", "-S", "-P", "-c", _BOOT, os.path.dirname(sandbox.inside.__file__)]
        with theirs:
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                cwd="/",
                start_new_session=True,
            )

    def said(self) -> str:
        """What it printed before it was told where its log is: why the interpreter does not start, for example."""
        return os.pread(self._said, _MOST_SAID, 0).decode("utf-8", "replace") if self._said >= 0 else self._last_words

    def close(self) -> None:
        """End it and wait until it has cleaned up."""
        self.socket.close()
        self.process.wait()
        if self._said >= 0:
            self._last_words = self.said()
            os.close(self._said)
            self._said = -1


def seqpacket() -> tuple[socket.socket, socket.socket]:
    """Return our end, which does not block, and the other one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs
