"""An execution that comes near the memory limit is told so, once, before another one is ended for it."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.state import restart

import sandbox.sync
from sandbox.engine.headroom import Near, warning
from sandbox.engine.thread import EngineThread
from sandbox.protocol.messages import VariableInfo

_MB = 1 << 20
_TAKE = "import numpy\ndef take(mb): return numpy.ones(mb << 17)"
_UNCOUNTED = ("cgroup",)


@pytest.fixture(scope="module")
def _started(engine: EngineThread) -> None:
    """The zygote of those without control groups is there before a test begins, and so is nothing it has left."""
    with sandbox.sync.LocalSandbox(without=_UNCOUNTED) as box:
        box.run("1")
        box.delete()
    deadline = time.monotonic() + 60
    while engine.busy() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture(params=[(), _UNCOUNTED], ids=["as the host has it", "without control groups"])
async def box(_started: None, open_box: Open, request: pytest.FixtureRequest) -> Any:
    """A sandbox with 512 MB: it is near the limit from 410 MB on."""
    box = await open_box(memory=512, without=request.param)
    await box.run(_TAKE)
    return box


async def warnings(box: Any, code: str) -> str:
    execution = await box.run(code)
    assert execution.state == "kept"
    return "\n".join(execution.warnings)


async def test_coming_near_the_limit_is_told_once_and_again_after_it_was_left(box: Any) -> None:
    assert await warnings(box, "small = take(100)") == ""
    told = await warnings(box, "large = take(180); larger = take(150)")
    assert "the memory limit is near" in told
    assert "of 512 MB are in use" in told
    assert "the largest variables are large (180 MB), larger (150 MB), small (100 MB)" in told
    for code in ("1 + 1", "little = take(2)", "del little", "len(large)"):
        assert await warnings(box, code) == "", "it was told already"
    assert await warnings(box, "del large") == ""
    assert "the largest variables are again (180 MB)" in await warnings(box, "again = take(180)")


async def test_what_was_needed_at_one_time_only_is_told_too(box: Any) -> None:
    assert await warnings(box, "half = take(40); del half") == ""
    told = await warnings(box, "passing = take(420); del passing")
    assert "it came near the memory limit: it used up to 4" in told
    assert "the largest variables" not in told
    assert await warnings(box, "1 + 1") == ""


async def test_an_execution_that_fails_near_the_limit_is_told(box: Any) -> None:
    execution = await box.run("large = take(430)\nraise ValueError", check=False)
    assert "large (430 MB)" in "\n".join(execution.warnings)


async def test_a_restored_session_is_told_anew(box: Any) -> None:
    await box.run("held = [take(1) for _ in range(430)]")
    await restart(box)
    assert "the memory limit is near" in await warnings(box, "for one in held: one += 1")


async def test_pages_of_files_do_not_count(box: Any) -> None:
    write = "import os\nwith open('file', 'wb') as file:\n    for _ in range(480): file.write(bytes(1 << 20))"
    assert await warnings(box, write) == ""
    assert await warnings(box, "with open('file', 'rb') as file:\n    while file.read(1 << 20): pass") == ""
    assert await warnings(box, "os.remove('file')") == ""


async def test_what_is_not_stored_is_told_without_names(open_box: Open) -> None:
    box = await open_box(memory=512, persist=False)
    await box.run(_TAKE)
    told = await warnings(box, "large = take(430)")
    assert "the memory limit is near" in told
    assert "largest" not in told


async def test_memory_of_other_processes_counts(open_box: Open) -> None:
    box = await open_box(memory=512)
    if "cgroup" not in (await box.run("1")).enforced:
        pytest.skip("there are no control groups here that this user may use")
    await box.run(f"import os, time\n{_TAKE}")
    child = "held = take(430); os.write(ends[1], b'x'); os.read(begins[0], 1); os._exit(0)"
    code = f"ends, begins = os.pipe(), os.pipe()\nif not (pid := os.fork()):\n    {child}\nos.read(ends[0], 1);"
    told = await warnings(box, code)
    assert "the memory limit is near" in told
    assert "largest" not in told
    await box.run("os.write(begins[1], b'x'); os.waitpid(pid, 0);")


def variable(name: str, size: int, *others: str, lost: str | None = None) -> VariableInfo:
    return VariableInfo(name, "bytes", size * _MB, 1, shared_with=others, lost=lost)


def test_names_that_share_memory_are_named_together_and_few_in_all() -> None:
    found = [
        variable("a", 100, "b"), variable("b", 100, "a"), variable("c", 300, "d", "e", "f"), variable("g" * 200, 50),
        variable("h", 40), variable("i", 900, lost="it cannot be kept"), variable("j", 1),
    ]  # fmt: skip
    told = warning(Near(900 * _MB, 950 * _MB, 1024 * _MB), found)
    named = f"c with d and 2 more (300 MB), a with b (100 MB), {'g' * 40} (50 MB)"
    assert told == (
        f"the memory limit is near: 900 of 1024 MB are in use; the largest variables are {named}; delete some, "
        "work on smaller pieces, or raise memory="
    )


def test_a_look_far_from_the_limit_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.engine import headroom
    from sandbox.engine.cgroups import Counters
    from sandbox.protocol.messages import SessionOptions

    class Far:
        options = SessionOptions(memory=512)

    monkeypatch.setattr(headroom, "_now", lambda *_: os.abort())
    assert headroom.Headroom().look(Far(), Counters(peak_memory=300 * _MB)) is None  # type: ignore[arg-type]
