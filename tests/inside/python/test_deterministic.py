"""What code in a sandbox with a seed can ask of time and chance, and what becomes of it while it waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox import LocalSandbox, SandboxExecutionError

Make = Callable[..., LocalSandbox]

_CHANCE = (
    "random.random()", "random.Random().random()", "random.SystemRandom().random()", "os.urandom(100)",
    "secrets.token_hex()", "uuid.uuid4()", "uuid.uuid1()", "os.path.basename(tempfile.NamedTemporaryFile().name)",
    "np.random.random()", "np.random.default_rng().random()", "np.random.RandomState().random_sample()",
    "random.seed() or random.random()", "np.random.seed() or np.random.random()",
)  # fmt: skip
_TIME = (
    "time.time()", "time.time_ns()", "time.monotonic()", "time.perf_counter_ns()", "time.process_time()",
    "time.clock_gettime(time.CLOCK_REALTIME)", "time.clock_gettime_ns(time.CLOCK_MONOTONIC)",
    "time.gmtime()", "time.localtime()", "time.ctime()", "time.asctime()", "time.strftime('%x')",
    "datetime.datetime.now()", "datetime.datetime.now(datetime.timezone.utc)", "datetime.datetime.today()",
    "datetime.date.today()", "pd.Timestamp.now()",
)  # fmt: skip
_IMPORTS = "import datetime, os, random, secrets, tempfile, time, uuid, numpy as np, pandas as pd"


async def started(make: Make, **options: Any) -> LocalSandbox:
    box = make(**options)
    await box.start()
    return box


async def answers(make: Make, questions: tuple[str, ...], **options: Any) -> list[str]:
    """What a new sandbox says to each of them."""
    box = await started(make, **options)
    return (await box.run(f"{_IMPORTS}\nprint(*({', '.join(questions)}), sep='\\n')")).stdout.splitlines()


async def test_chance_follows_from_the_seed_and_without_one_from_nothing(make: Make) -> None:
    seeded = [await answers(make, _CHANCE, seed=seed) for seed in (3, 3, 4)]
    free = [await answers(make, _CHANCE) for _ in range(2)]
    for asked, same, again, other, *true in zip(_CHANCE, *seeded, *free, strict=True):
        assert same == again, asked
        assert len({same, other, *true}) == 4, asked


async def test_time_begins_in_2026_and_without_a_seed_now(make: Make) -> None:
    seeded, again = [await answers(make, _TIME, seed=seed) for seed in (3, 4)]
    true = await answers(make, _TIME)
    assert seeded == again
    for asked, same, now in zip(_TIME, seeded, true, strict=True):
        assert same != now, asked


async def test_the_clock_goes_on_as_it_is_read(make: Make) -> None:
    box = await started(make, seed=0)
    code = "import time\nend = time.time() + 0.05\nwhile time.time() < end: pass\nround(time.time() - end, 3)"
    assert (await box.run(code)).text == "0.0"
    assert (await box.run("a = time.time(); b = time.time_ns(); 0 < b / 1e9 - a < 1e-4")).text == "True"


_WAITS = (
    "time.sleep(0.02)", "await asyncio.sleep(0.02)", "threading.Event().wait(0.02)",
    "queue.Queue().get(timeout=0.02)", "concurrent.futures.Future().result(0.02)",
    "selectors.DefaultSelector().select(0.02)", "threading.Semaphore(0).acquire(timeout=0.02)",
    "await asyncio.wait_for(asyncio.Event().wait(), 0.02)", "select.select([], [], [], 0.02)",
)  # fmt: skip


async def test_what_waits_lets_time_pass_and_always_as_much(make: Make) -> None:
    passed = []
    for _ in range(2):
        box = await started(make, seed=0)
        await box.run("import asyncio, concurrent.futures, contextlib, queue, select, selectors, threading, time")
        for wait in _WAITS:
            code = f"begun = time.monotonic()\nwith contextlib.suppress(Exception): {wait}\ntime.monotonic() - begun"
            passed.append((wait, float((await box.run(code)).text or "0")))
    assert all(0.02 <= seconds < 0.021 for _, seconds in passed), passed
    assert passed[: len(_WAITS)] == passed[len(_WAITS) :]


async def test_what_waits_side_by_side_lets_as_much_time_pass_as_the_longest(make: Make) -> None:
    box = await started(make, seed=0)
    code = """
import threading, time
begun = time.time()
threads = [threading.Thread(target=time.sleep, args=(seconds,)) for seconds in (0.01, 0.05, 0.02)]
for thread in threads: thread.start()
for thread in threads: thread.join()
round(time.time() - begun, 3)
"""
    assert (await box.run(code)).text == "0.05"


async def test_processes_that_are_forked_have_chance_of_their_own_and_always_the_same(make: Make) -> None:
    code = """
import os, random, uuid
def drawn(): return random.random(), str(uuid.uuid4()), os.urandom(4)
for _ in range(2):
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.write(writes, repr(drawn()).encode())
        os._exit(0)
    os.wait()
    print(os.read(reads, 1000).decode())
print(drawn())
"""
    one, two = [(await (await started(make, seed=0)).run(code)).stdout for _ in range(2)]
    assert one == two
    words = one.replace("(", " ").replace(")", " ").split()
    assert len(set(words)) == len(words) == 9


async def test_how_long_another_program_takes_is_not_seen(make: Make) -> None:
    box = await started(make, seed=0)
    code = (
        "import subprocess, time\nbegun = time.time(); subprocess.run(['sleep', '{}'], timeout=20); time.time() - begun"
    )
    assert (await box.run(code.format("0"))).text == (await box.run(code.format("0.2"))).text


async def test_another_program_that_says_much_is_timed_out(make: Make) -> None:
    box = await started(make, seed=0)
    said = "subprocess.run(['sh', '-c', 'while :; do echo; sleep 0.01; done'], timeout=0.2, capture_output=True)"
    with pytest.raises(SandboxExecutionError, match="TimeoutExpired"):
        await box.run(f"import subprocess\n{said}")


async def test_a_directory_is_listed_in_order(make: Make) -> None:
    box = await started(make, seed=1)
    await box.run("import os, pathlib\nfor n in 'qwertyuiopasdfghjklzxcvbnm': open(n, 'w').close()")
    for code in (
        "os.listdir()",
        "(e.name for e in os.scandir())",
        "(p.name for p in pathlib.Path().iterdir())",
        "next(os.walk('.'))[2]",
    ):
        assert (await box.run(f"''.join({code})")).text == "'abcdefghijklmnopqrstuvwxyz'", code
    assert (await box.run("with os.scandir(b'.') as found: print(next(found).name)")).stdout == "b'a'\n"


async def test_a_variable_that_is_a_clock_is_one_after_a_restore(make: Make) -> None:
    box = await started(make, seed=1)
    await box.run("import datetime, time; clock = time.time; now = datetime.datetime.now; first = clock()")
    await box.stop()
    await box.start()
    execution = await box.run("0 < clock() - first < 0.001, now().year")
    assert (execution.text, execution.state.lost_names) == ("(True, 2026)", ())


async def test_dates_of_types_of_one_s_own_and_of_zones_are_as_ever(make: Make) -> None:
    box = await started(make, seed=1)
    code = """
import datetime, zoneinfo
class Mine(datetime.datetime): pass
zone = datetime.timezone(datetime.timedelta(hours=3))
print(type(Mine.now()).__name__, type(Mine.today()).__name__, datetime.datetime.now(zone).hour)
print(datetime.datetime.now(tz=zone).utcoffset(), datetime.datetime.now().tzinfo, repr(datetime.date.today()))
"""
    said = "Mine Mine 3\n3:00:00 None datetime.date(2026, 1, 1)\n"
    assert (await box.run(code)).stdout == said
