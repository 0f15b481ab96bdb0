"""dill and kishu, which save a session after each cell: in a process and with packages of their own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.settings import Settings

DILL, KISHU = "dill", "kishu"
NAMES = {DILL: "dill.dump_session", KISHU: "kishu"}
_PROGRAM = Path(__file__).with_name("saved_session.py")


class SavingPeer:
    """A running one. `pid` is its process's; `directory` has what it saves."""

    def __init__(self, name: str, process: subprocess.Popen[str], directory: str) -> None:
        self._name, self._process = name, process
        self.pid, self.directory = process.pid, directory
        self._stored = 0

    def run(self, code: str) -> tuple[float, float]:
        """Run a cell and save; return the seconds of saving and the bytes stored of it. Raises RuntimeError."""
        answer = self._ask(do="run", code=code)
        before, self._stored = self._stored, answer["stored"]
        return answer["seconds"], float(self._stored - before)

    def restore(self, directory: str | None = None) -> float:
        """Load what it, or one with another directory, saved last; return the seconds. Raises RuntimeError."""
        return float(self._ask(do="restore", directory=directory or self.directory)["seconds"])

    def evaluate(self, expression: str) -> str:
        """The text of a value. Raises RuntimeError."""
        return str(self._ask(do="evaluate", expression=expression)["text"])

    def ready(self) -> None:
        """Wait until it has started. Raises RuntimeError."""
        self._answer()

    def _ask(self, **request: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            raise RuntimeError(f"{self._name}: {answer['error']}")
        return answer


@contextlib.contextmanager
def saving_peer(peer: str, variables: dict[str, str], home: Path) -> Iterator[SavingPeer]:
    """A running one that keeps what it saves below `home`; it ends, and its files are gone, afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"{peer}-", dir=home) as directory:
        command = [str(peers.own_python()), str(_PROGRAM), peer, directory]
        with subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                started = SavingPeer(peer, process, directory)
                started.ready()
                yield started
            finally:
                assert process.stdin is not None
                process.stdin.close()


def wanted(settings: Settings, among: Iterable[str] = NAMES) -> list[str]:
    """Those that are to be measured and are there."""
    return [peer for peer in among if settings.peers and peers.present(peer)]
