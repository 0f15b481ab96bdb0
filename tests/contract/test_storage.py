"""What a session takes on the disk stays bounded while it lives, and nothing is lost that was not said to be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.state import elsewhere, pack_bytes, plain, restart, until, value

from sandbox import CheckpointNotFound, UsageError
from sandbox.engine.thread import EngineThread
from sandbox.store.store import Store

_ARRAY = "import numpy as np; array = np.frombuffer(np.random.bytes(4_000_000), np.uint8).copy(); turn = {0}"


def _store() -> Path:
    return Path(os.environ["SANDBOX_HOME"]) / "store"


def packed(box: Any) -> int:
    """Bytes of packs that the session's tree has."""
    with Store(_store()) as store:
        tree = store.session(box.session_id, owner="local").tree
        return pack_bytes(store.packs / tree.name)


@pytest.mark.here
async def test_an_array_that_is_new_each_time_does_not_fill_the_disk(open_box: Open) -> None:
    box = await open_box(storage=24)
    for turn in range(40):
        execution = await box.run(_ARRAY.format(turn))
        assert execution.warnings == ()
        if turn == 2:
            await box.checkpoint("good")
    with Store(_store()) as store:
        assert 16 << 20 < store.session(box.session_id, owner="local").bytes <= 24 << 20
    assert packed(box) < 48 << 20  # a pack of which most is needed stays as it is
    made = plain(box).checkpoints()
    assert (made[0].execution, made[0].label, made[-1].execution) == (3, "good", 40)
    assert 3 <= len(made) <= 7
    with pytest.raises(CheckpointNotFound):
        await box.rollback(10)
    await restart(box)
    assert await value(box, "turn, array.size") == "(39, 4000000)"
    await box.rollback("good")
    assert await value(box, "turn") == "2"
    assert len(plain(box).get_execution_history(limit=100)) == 42


async def test_what_is_larger_than_the_storage_is_said_not_to_be_saved(open_box: Open) -> None:
    box = await open_box(storage=8)
    await box.run("kept = 1")
    told = "\n".join((await box.run("import os; large = os.urandom(20_000_000)")).warnings)
    assert "this execution was not saved" in told
    assert "would exceed the 8.0 MB that it may have" in told
    assert "raise storage=" in told
    assert (await box.run("del large; kept = 2")).warnings == ()
    await restart(box)
    assert await value(box, "kept") == "2"


@pytest.mark.here
async def test_so_many_checkpoints_are_kept_and_those_with_a_label(open_box: Open) -> None:
    box = await open_box(checkpoints=5)
    for turn in range(12):
        await box.run(f"turn = {turn}")
        if turn == 1:
            await box.checkpoint("good")

    async def few() -> bool:
        with Store(_store()) as store:  # another's: asking the engine's all the time leaves it no moment
            made = store.checkpoints(box.session_id, owner="local")
        return [one.execution for one in made] == [2, 8, 9, 10, 11, 12]

    await until(few)
    await box.rollback(8)
    assert await value(box, "turn") == "7"


@pytest.mark.here
async def test_a_part_in_many_pieces_is_mended_while_the_session_lives(open_box: Open) -> None:
    box = await open_box(checkpoints=1)
    await box.run("import numpy as np; array = np.zeros(8_000_000, np.uint8)")
    for turn in range(12):
        assert (await box.run(f"array[{turn % 2} * 3_900_000 :][:3_900_000] = {turn}")).warnings == ()

    async def mended() -> bool:
        # All that was written are 55 MB. Two and a half pieces are one, and a pack that is half dead stays, if that is
        # looked at in the middle of it.
        return packed(box) < 40_000_000

    await until(mended)
    await restart(box)
    assert await value(box, "[int(array[at]) for at in (0, 5_000_000, -1)]") == "[10, 11, 0]"


def test_all_sessions_have_a_quota_that_the_environment_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_STORAGE", "2")
    tmp_path.chmod(0o711)
    home = tmp_path / "home"
    code = """
    with LocalSandbox(session_id="one") as box:
        execution = box.run("import os; large = os.urandom(5_000_000)")
        say(execution.text, *execution.warnings)
    """
    told = elsewhere(code, home=home)
    assert "would exceed the 0.5 MB that it may have" in told
    monkeypatch.setenv("SANDBOX_STORAGE", "plenty")
    told = elsewhere(
        "from sandbox import UsageError\ntry: LocalSandbox(session_id='one').start()\nexcept UsageError as e: say(e)",
        home=home,
    )
    assert told == "SANDBOX_STORAGE='plenty' is not a whole number of MB"


@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
async def test_a_worker_that_dies_after_what_could_not_be_saved_goes_back_to_what_was(open_box: Open, end: str) -> None:
    box = await open_box(storage=5)
    await box.run("import os; data = os.urandom(1_000_000); i = 0")
    assert "was not saved" in (await box.run("large = os.urandom(10_000_000)")).warnings[0]
    execution = await box.run(end, check=False)
    assert (execution.state, execution.state.restored_to) == ("restored", 1)
    assert await value(box, "i, len(data)") == "(0, 1000000)"
    await restart(box)
    assert await value(box, "i, len(data), 'large' in globals()") == "(0, 1000000, False)"


async def test_nothing_is_dropped_for_what_would_not_fit_anyway(open_box: Open) -> None:
    box = await open_box(storage=5)
    for turn in range(4):
        await box.run(f"turn = {turn}")
    assert "was not saved" in (await box.run("import os; large = os.urandom(10_000_000)")).warnings[0]
    assert [one.execution for one in plain(box).checkpoints()][:4] == [1, 2, 3, 4]


async def test_what_there_is_no_memory_to_save_is_told_of_once_with_what_to_do(open_box: Open) -> None:
    box = await open_box(memory=256)
    execution = await box.run("k = 'x' * 150_000_000")
    assert execution.state.lost_names == ("k",)
    told = [one for one in execution.warnings if "could not be saved" in one]
    assert len(told) == 1
    assert told[0].startswith("k could not be saved: that takes more memory than is left")
    assert "could not be saved" not in " ".join((await box.run("1")).warnings)
    await restart(box)
    assert "raise memory=" in str((await box.run("k", check=False)).exception)


def test_a_quota_that_is_no_number_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_STORAGE", "abc")
    with pytest.raises(UsageError, match="not a whole number of MB"):
        EngineThread()
