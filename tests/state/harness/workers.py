"""The host's side: a zygote, and workers that it forks; each can be killed at any time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.state.harness.link import Link
from tests.state.harness.store import Manifest, Store

ROOT = Path(__file__).parents[3]
SECONDS = 30.0


class HarnessError(Exception):
    """A worker's saver raised, which it must never do."""


class Zygote:
    """A warm process that forks workers. `saver` says what saves in them: `product`, or `control`."""

    def __init__(self, saver: str = "product") -> None:
        self._saver = saver
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        self._link = Link(ours)
        with theirs:
            command = [sys.executable, "-W", "ignore", "-m", "tests.state.harness.zygote", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=_environment(), cwd=ROOT)

    @contextlib.contextmanager
    def worker(self, workspace: Path) -> Iterator[WorkerHandle]:
        """A fresh worker whose working directory is `workspace`; killed in the end, as if by a crash."""
        ours, theirs = socket.socketpair()
        ours.settimeout(SECONDS)
        with ours:
            with theirs:
                request = {"workspace": str(workspace), "saver": self._saver}
                self._link.send(request, fds=[theirs.fileno()])
            pid = self._link.receive()[0]["pid"]
            try:
                yield WorkerHandle(Link(ours))
            finally:
                _kill(pid)

    def close(self) -> None:
        self._link.close()
        self._process.wait(timeout=10)


class WorkerHandle:
    """Asks one worker for one thing after the other."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def begin(self) -> None:
        self._ask("begin")

    def run(self, source: str, number: int) -> dict[str, Any] | None:
        """Run a cell; return what it raised."""
        error: dict[str, Any] | None = self._ask("run", source=source, number=number)[0]["error"]
        return error

    def run_and_save(self, source: str, number: int) -> tuple[dict[str, Any], bytes]:
        """Run a cell and save. The answer has `error`, `lost` and `records`; the bytes are the records'."""
        return self._ask("run_and_save", source=source, number=number)

    def restore(self, store: Store, manifest: Manifest) -> dict[str, str]:
        return self._load("restore", store, manifest)

    def check(self, store: Store, manifest: Manifest, *, whole: bool) -> dict[str, str]:
        return self._load("check_whole" if whole else "check", store, manifest)

    def touch(self, name: str) -> list[str]:
        """In which ways the name of a lost value can be used without StateLost."""
        quiet: list[str] = self._ask("touch", name=name)[0]["quiet"]
        return quiet

    def describe(self) -> str:
        return self._ask("describe")[1].decode()

    def _load(self, what: str, store: Store, manifest: Manifest) -> dict[str, str]:
        small = [part.small for part in manifest.values() if part.small is not None]
        layout = {
            key: {"size": part.size, "extents": None if part.small is not None else part.extents}
            for key, part in manifest.items()
        }
        fds = [store.pack.fd] if len(small) < len(manifest) else []
        lost: dict[str, str] = self._ask(what, small, fds, parts=layout)[0]["lost"]
        return lost

    def _ask(
        self, what: str, pieces: Sequence[bytes] = (), fds: Sequence[int] = (), **more: Any
    ) -> tuple[dict[str, Any], bytes]:
        self._link.send({"do": what, **more}, pieces, fds)
        answer, payload, _ = self._link.receive()
        if "broken" in answer:
            raise HarnessError(f"{what}: {answer['broken']}")
        return answer, payload


def _environment() -> dict[str, str]:
    """A small environment of known content. Strings hash alike in all workers, as the product's do."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONPATH": path, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}


def _kill(pid: int) -> None:
    """End a worker and what it started. It may not have got as far as a process group of its own."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
