"""A session that is restarted again and again, in every way: nothing of it is lost, and nothing grows."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Leaks, _settle
from tests.endurance import SECONDS, SOAK
from tests.engine.living import children, kill_worker, kill_zygote

from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store
from sandbox.sync import LocalSandbox

RESTARTS = 30 * SOAK
# An array so large that only the pages of it that were written are stored.
BEGIN = """
import numpy as np
n, numbers, big = 0, [], np.zeros(200_000)
alias = numbers
"""
STEP = """
n += 1
alias.append(n)
big[n * 70_001 % big.size] += 1
if len(numbers) > 100: del alias[:50]
open('file', 'w').write(str(n) * 1000);
"""
LOOK = "n, numbers is alias, numbers[-1], int(big.sum()), open('file').read() == str(n) * 1000"
# What a checkpoint of this may cost, and what a process may come to hold beside. Both bound growth and not speed.
_STORED_BYTES = 40 * 1024
_MEMORY_BYTES = 40 << 20


class Restarted:
    """A session, whose worker, zygote and engine come and go."""

    def __init__(self) -> None:
        self.engine = EngineThread()
        self.box = LocalSandbox(engine=self.engine).start()
        self.box.run(BEGIN)

    def kill_the_idle_worker(self) -> None:
        kill_worker(self.engine, self.box.session_id)

    def kill_the_running_worker(self) -> None:
        code = "n = alias = big = None\nprint('on', flush=True)\nwhile True: pass"
        done = self.box.run(code, check=False, on_stdout=lambda _text: kill_worker(self.engine, self.box.session_id))
        assert (done.status, done.state) == ("crashed", "restored")

    def crash(self) -> None:
        assert self.box.run("del n, alias; import os; os._exit(3)", check=False).state == "restored"

    def stop_and_start(self) -> None:
        self.box.stop()
        self.box.start()

    def kill_the_zygote(self) -> None:
        kill_zygote(self.engine, [self.box.session_id])

    def restart_the_engine(self) -> None:
        self.engine.close()
        self.engine = EngineThread()
        self.box = LocalSandbox(engine=self.engine, session_id=self.box.session_id).start()

    def ways(self) -> list[Callable[[], None]]:
        quick = [self.kill_the_idle_worker, self.kill_the_running_worker, self.crash, self.stop_and_start]
        return [*quick * 3, self.kill_the_zygote, *quick * 3, self.restart_the_engine]


class Held:
    """What this process and its store hold, once nothing is under way."""

    def __init__(self, restarted: Restarted, home: Path) -> None:
        _settle(restarted.engine, seconds=60)
        gc.collect()
        # By kind: each engine has names of its own, and each pack.
        kinds = (kind.split("[")[0].split("/")[-1] for kind in Leaks().held.elements())
        self.descriptors = Counter("pack" if kind.endswith(".pack") else kind for kind in kinds)
        # Without those of asyncio's pool, which has a bound of its own.
        self.threads = Counter(each.name for each in threading.enumerate() if not each.name.startswith("asyncio_"))
        self.processes = len(children(os.getpid()))
        self.memory = _resident_bytes()
        self.stored = sum(path.stat().st_size for path in (home / "store").rglob("*") if path.is_file())


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(SECONDS)
def test_a_session_that_is_restarted_again_and_again_loses_nothing_and_nothing_grows(own_home: Path) -> None:
    restarted = Restarted()
    try:
        ways = restarted.ways()
        for number in range(1, RESTARTS + 1):
            restarted.box.run(STEP)
            ways[number % len(ways)]()
            assert restarted.box.run(LOOK).text == f"({number}, True, {number}, {number}, True)"
            if number == 10:
                before = Held(restarted, own_home)
        after = Held(restarted, own_home)
        print(f"{after.memory - before.memory} bytes of memory, {after.stored - before.stored} bytes stored")
        assert after.descriptors - before.descriptors == Counter()
        assert (after.threads, after.processes) == (before.threads, before.processes)
        assert after.memory - before.memory < _MEMORY_BYTES
        assert after.stored - before.stored < _STORED_BYTES * (RESTARTS - 10)
        restarted.box.delete()
    finally:
        restarted.engine.close()
    with Store(own_home / "store") as store:
        store.gc()
        assert store.verify().ok
        assert store.sessions() == []
    assert list((own_home / "run").iterdir()) == []
