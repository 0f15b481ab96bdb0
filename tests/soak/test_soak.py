"""Sessions of every kind at once, for as long as one likes: what the process and its disk hold does not grow.

For some seconds in the suite, for SANDBOX_SOAK_SECONDS with `make soak`. A round is one of everything; what is held is
compared after the first rounds and at the end, in between nothing is waited for.
"""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Leaks, _settle
from tests.engine.living import children, kill_worker, kill_zygote

from sandbox import Environment, SandboxError, SandboxLimitError
from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store
from sandbox.sync import LocalSandbox

SECONDS = float(os.environ.get("SANDBOX_SOAK_SECONDS", "12"))
_USERS = 3
# Growth that is not held back: caches that fill up, a heap in pieces. It bounds what goes on for ever.
_MEMORY = 48 << 20
_DISK = 128 << 20
_WARMING = 0.4  # of the time: until then caches fill up


class User:
    """Somebody with one session that lasts, who counts what was answered, and others that come and go."""

    def __init__(self, engine: EngineThread, number: int) -> None:
        self._engine, self._random, self.rounds = engine, random.Random(number), 0
        self.box = self._new(session_id=f"user-{number}", checkpoints=20)
        self.box.run("n = 0; import os; data = bytearray(200_000)")
        self.answered = 0
        self.wrong: list[str] = []

    def _new(self, **options: Any) -> LocalSandbox:
        return LocalSandbox(engine=self._engine, environment=Environment(warm=()), **options).start()

    def round(self) -> None:
        """One of everything, in another order each time."""
        steps: list[Callable[[], None]] = [
            self._kill, self._crash, self._restore, self._fork, self._upload, self._limit, self._command,
            self._artifact, self._short,
        ]  # fmt: skip
        self._random.shuffle(steps)
        for step in steps:
            try:
                step()
            except SandboxError as error:
                self.wrong.append(f"{step.__name__}: {error}")
            self._count()
        self.rounds += 1

    def _count(self) -> None:
        done = self.box.run("n += 1; data[n % len(data)] = 1; n", check=False)
        if done.text != str(self.answered + 1):
            self.wrong.append(f"{done.text} after {self.answered}: {done}")
        self.answered += 1

    def _kill(self) -> None:
        kill_worker(self._engine, self.box.session_id)

    def _crash(self) -> None:
        self.box.run("os._exit(1)", check=False)

    def _restore(self) -> None:
        self.box.stop()
        self.box.start()

    def _fork(self) -> None:
        for fork in self.box.fork(2):
            fork.run("n += 1; open('own', 'w').write(str(n))")
            fork.delete()

    def _upload(self) -> None:
        self.box.files.write("up", os.urandom(300_000))
        if len(self.box.files.read("up")) != 300_000:
            self.wrong.append("a file is not what was written")
        self.box.files.remove("up")

    def _limit(self) -> None:
        try:
            self.box.run("more = bytearray(4 << 30)")
            self.wrong.append("no limit was met")
        except SandboxLimitError:
            pass
        except SandboxError as error:
            if getattr(error, "error_type", "") != "MemoryError":
                raise

    def _command(self) -> None:
        self.box.command.shell("yes | head -c 100000 | wc -c")

    def _artifact(self) -> None:
        done = self.box.run(
            "os.makedirs('artifacts', exist_ok=True); open('artifacts/a', 'w').write(str(n))", check=False
        )
        self.box.remove_artifacts([artifact.id for artifact in done.artifacts])

    def _short(self) -> None:
        with self._new(persist=False) as short:
            short.run("print('x' * 100_000)")
            short.delete()


class Held:
    """What this process and the disk hold once nothing is under way."""

    def __init__(self, engine: EngineThread, home: Path) -> None:
        _settle(engine, seconds=60)
        gc.collect()
        # Each session that lasts has a pack open; how it is called is chance, and it gets another one now and then.
        names = (kind.split("[")[0].split("/")[-1] for kind in Leaks().held.elements())
        self.counts = Counter("pack" if name.endswith(".pack") else name for name in names)
        self.counts["threads"] = sum(not each.name.startswith("asyncio_") for each in threading.enumerate())
        self.counts["processes"] = len(_descendants(os.getpid()))
        self.memory = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.disk = sum(path.lstat().st_size for path in home.rglob("*") if path.is_file())


def _descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [one for child in found for one in _descendants(child)]


def _use(users: list[User], until: float) -> None:
    """All of them at once, each at least one round."""

    def use(user: User) -> None:
        user.round()
        while time.monotonic() < until:
            user.round()

    threads = [threading.Thread(target=use, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.timeout(SECONDS * 10 + 300)
def test_what_is_held_does_not_grow_whatever_is_done(own_home: Path) -> None:
    engine = EngineThread()
    try:
        users = [User(engine, number) for number in range(_USERS)]
        begin = time.monotonic()
        _use(users, begin + SECONDS * _WARMING)
        before, rounds = Held(engine, own_home), sum(user.rounds for user in users)
        _use(users, begin + SECONDS * (1 + _WARMING) / 2)
        kill_zygote(engine, [user.box.session_id for user in users])
        _use(users, begin + SECONDS)
        after = Held(engine, own_home)
        grown = f"{after.memory - before.memory} bytes of memory, {after.disk - before.disk} bytes of disk"
        print(f"{rounds} rounds, then {sum(user.rounds for user in users) - rounds}: {grown}")
        assert [user.wrong for user in users] == [[] for _ in users]
        assert after.counts - before.counts == Counter()
        assert after.memory - before.memory < _MEMORY
        assert after.disk - before.disk < _DISK
        for user in users:
            assert user.box.run("n").text == str(user.answered)
            user.box.delete()
    finally:
        engine.close()
    assert list((own_home / "run").iterdir()) == []
    with Store(own_home / "store") as store:
        store.gc()
        assert store.verify().ok
        assert store.sessions() == []
