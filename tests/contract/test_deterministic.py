"""Sandboxes with a seed: the same code does the same again, and its checkpoints have the same digests."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.state import elsewhere, forks, plain, restart, value

from sandbox import UsageError

_PROGRAM = (
    "import asyncio, datetime, os, random, secrets, tempfile, time, uuid",
    "made = {'at': datetime.datetime.now(), 'id': uuid.uuid4(), 'some': random.sample(range(1000), 5)}; made",
    "def later(x): return x + time.time()\nclass Thing: pass\nthing = Thing(); thing.made = later(1); thing.made",
    "open('a', 'w').write(secrets.token_hex()); os.makedirs('b/c'); words = {'one', 'two', 'three'}; list(words)",
    "import numpy as np, pandas as pd; frame = pd.DataFrame(np.random.default_rng().random((9, 3))); frame.sum().sum()",
    "await asyncio.sleep(0.02); time.sleep(0.01); time.monotonic(), made['id'], frame[0].max()",
)


async def texts(box: Any, program: tuple[str, ...]) -> list[str]:
    """What each cell shows."""
    return [str((await box.run(code)).text) for code in program]


async def test_the_same_program_says_the_same_and_its_checkpoints_have_the_same_digests(open_box: Open) -> None:
    one, two = [await open_box(seed=1) for _ in range(2)]
    assert await texts(one, _PROGRAM) == await texts(two, _PROGRAM)
    digests = [[plain(box).digest(checkpoint) for checkpoint in plain(box).checkpoints()] for box in (one, two)]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == len(_PROGRAM)
    assert plain(one).digest() == plain(two).digest() == digests[0][-1]
    assert plain(one).digest(2) == digests[0][1]
    await two.files.write("more", "")
    assert plain(one).digest() != plain(two).digest()


@pytest.mark.here
async def test_another_process_on_this_machine_has_the_same_digest(open_box: Open) -> None:
    box = await open_box(seed=1)
    await texts(box, _PROGRAM)
    code = """
        box = LocalSandbox(seed=1).start()
        for code in eval(sys.argv[1]): box.run(code)
        say(box.digest())
        box.delete()
    """
    assert elsewhere(code, repr(_PROGRAM)) == plain(box).digest()


async def test_a_restored_session_goes_on_as_if_nothing_had_happened(open_box: Open) -> None:
    one, two = [await open_box(seed=5) for _ in range(2)]
    shown: list[list[str]] = [[], []]
    for code in _PROGRAM:
        shown[0] += await texts(one, (code,))
        shown[1] += await texts(two, (code,))
        await restart(two)
    assert shown[0] == shown[1]


@pytest.mark.here
async def test_forks_go_on_alike_unless_they_are_to_differ(open_box: Open) -> None:
    box = await open_box(seed=5)
    await box.run("import os, random, time")
    code = "time.time(), random.random(), os.urandom(4)"
    async with forks(box, 2) as same:
        assert len({await value(one, code) for one in (box, *same)}) == 1
    async with forks(box, 2, reseed=True) as others:
        assert len({await value(one, code) for one in others}) == 2


async def test_a_stored_session_keeps_its_seed(open_box: Open) -> None:
    box = await open_box(seed=8)
    asked = "import random; random.random()"
    first, second = [await value(box, asked) for _ in range(2)]
    await box.rollback(1)
    assert await value(box, asked) == second
    await box.stop()
    again = await open_box(session_id=box.session_id)
    await again.rollback(1)
    assert (await value(again, asked), first != second) == (second, True)
    await again.stop()
    with pytest.raises(UsageError, match="was begun with seed=8; begin another one"):
        await open_box(session_id=box.session_id, seed=9)
    await again.start()


async def test_a_session_that_was_begun_without_a_seed_gets_none(open_box: Open) -> None:
    box = await open_box()
    await box.run("x = 1")
    await box.stop()
    with pytest.raises(UsageError, match="was begun without a seed"):
        await open_box(session_id=box.session_id, seed=9)
    await box.start()


async def test_javascript_is_not_made_deterministic(open_box: Open) -> None:
    with pytest.raises(UsageError, match="only sessions in Python can be deterministic"):
        await open_box(seed=1, language="javascript")
