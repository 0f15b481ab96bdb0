"""A server of its own for tests: `sandbox serve` as a process, with a data directory and keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import sandbox
from sandbox.server.database import MIGRATIONS
from sandbox.server.keys import Keyring, Quotas
from sandbox.store.database import Database

_SECONDS = 90


class Serving:
    """One data directory, and the process that serves it while it is started."""

    def __init__(self, home: Path, *arguments: str) -> None:
        home.mkdir(exist_ok=True)
        home.chmod(0o711)
        self.home, self.arguments = home, arguments
        self.url, self.first_key = "", ""
        self.environment = {
            **os.environ, "SANDBOX_HOME": str(home), "PYTHONPATH": str(Path(sandbox.__file__).parents[1]),
        }  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        port = self.url.rpartition(":")[2] or "0"
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sandbox", "serve", "--port", port, *self.arguments],
                stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment,
            )  # fmt: skip
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                if line.startswith("the first key"):
                    self.first_key = line.split()[-1]
                if line.startswith("serving on "):
                    self.url = line.split()[-1]
                    return self
        raise AssertionError(f"it ended: {self.log}")

    @property
    def log(self) -> str:
        """What it has said on standard error."""
        return (self.home / "log").read_text("utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The same, decoded: each is an object."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def terminate(self) -> int:
        """SIGTERM, and wait for its end."""
        assert self._process is not None
        self._process.terminate()
        return self._ended()

    def kill(self) -> int:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        return self._ended()

    def signal(self) -> None:
        """SIGTERM, without waiting."""
        assert self._process is not None
        self._process.terminate()

    def _ended(self) -> int:
        assert self._process is not None
        code = self._process.wait(_SECONDS)
        self._process = None
        return code

    def key(self, *scopes: str, owner: str | None = None, expires: float | None = None, **quotas: float) -> str:
        """Make a key, as `sandbox keys create` does."""
        database = Database(self.home / "server" / "server.db", MIGRATIONS)
        try:
            found: Any = Quotas(**quotas)  # type: ignore[arg-type]
            keys, wanted = Keyring(database), scopes or ("sandboxes",)
            return keys.create("test", owner=owner, scopes=wanted, expires=expires, quotas=found)[1]
        finally:
            database.close()

    def cli(self, *arguments: str) -> Any:
        """What a command says, as JSON."""
        return json.loads(self.run(*arguments))

    def run(self, *arguments: str) -> str:
        """What a command says."""
        return subprocess.run(
            [sys.executable, "-m", "sandbox", *arguments], env=self.environment, capture_output=True, text=True,
            check=True, timeout=_SECONDS,
        ).stdout  # fmt: skip

    @property
    def audit(self) -> list[dict[str, Any]]:
        """What the audit log has."""
        return [json.loads(line) for line in (self.home / "server" / "audit.log").read_text("utf-8").splitlines()]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.terminate()
        left = list((self.home / "run").glob("*"))
        deadline = time.monotonic() + 20
        while left and time.monotonic() < deadline:
            left = list((self.home / "run").glob("*"))
        assert left == [], f"the server left {left}"
