"""What of a session is there again in a fresh worker, after whatever has ended the one before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.state import plain, restart, until, value

from sandbox import SandboxCrashedError, SandboxExecutionError, SandboxTimeoutError, UsageError
from sandbox.store.store import Store

_SHARED = """
import mmap
hold = mmap.mmap(-1, 400 << 20)
for at in range(0, 400 << 20, 4096):
    hold[at] = 1
while True: pass
"""
_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nx = 'half'\nwhile True: pass"
DEATHS = {
    "exit": "import os; x = 'half'; os._exit(3)",
    "segfault": "import ctypes; x = 'half'; ctypes.string_at(0)",
    "abort": "import os; x = 'half'; os.abort()",
}


async def test_variables_files_directory_and_environment_are_there_after_a_stop(any_box: Any) -> None:
    await any_box.run(
        "import os\nx = [1, {'a': (2.5, b'c')}]\nos.makedirs('d/e')\nopen('d/f', 'w').write('text')\n"
        "os.environ['COLOUR'] = 'blue'\nos.chdir('d')"
    )
    await restart(any_box)
    assert await value(any_box, "x, open('f').read(), os.environ['COLOUR'], sorted(os.listdir())") == (
        "([1, {'a': (2.5, b'c')}], 'text', 'blue', ['e', 'f'])"
    )


async def test_history_and_numbers_go_on_after_a_stop(any_box: Any) -> None:
    await any_box.run("1")
    await any_box.run("1/0", check=False)
    await restart(any_box)
    assert (await any_box.run("3")).number == 3
    history = any_box.get_execution_history()
    assert [(one["number"], one["success"], one["error_type"]) for one in history] == [
        (3, True, None), (2, False, "ZeroDivisionError"), (1, True, None),
    ]  # fmt: skip
    assert any_box.get_performance_stats()["total_executions"] == 3


async def test_artifacts_are_there_after_a_stop(any_box: Any) -> None:
    await any_box.run("import os\nos.makedirs('artifacts')\nopen('artifacts/a.txt', 'w').write('made');")
    await restart(any_box)
    (artifact,) = any_box.list_artifacts()
    assert (artifact.name, artifact.execution, artifact.read()) == ("a.txt", 1, b"made")


@pytest.mark.parametrize("death", DEATHS)
async def test_after_a_crash_the_last_checkpoint_is_there(any_box: Any, death: str) -> None:
    await any_box.run("x = 1")
    await any_box.run("x += 1; open('f', 'w').write('two');")
    with pytest.raises(SandboxCrashedError) as crash:
        await any_box.run(DEATHS[death])
    execution = crash.value.execution
    assert (execution.number, execution.state, execution.state.restored_to) == (3, "restored", 2)
    following = await any_box.run("x, open('f').read()")
    assert (following.text, following.state, following.number) == ("(2, 'two')", "kept", 4)


async def test_a_second_crash_goes_back_to_the_same_execution(any_box: Any) -> None:
    await any_box.run("x = 1")
    for _ in range(2):
        execution = await any_box.run(DEATHS["exit"], check=False)
        assert (execution.state, execution.state.restored_to) == ("restored", 1)
    await restart(any_box)
    assert await value(any_box, "x") == "1"


async def test_a_crash_of_the_first_execution_has_nothing_to_go_back_to(any_box: Any) -> None:
    execution = await any_box.run(DEATHS["exit"], check=False)
    assert execution.state == "lost"
    assert await value(any_box, "'x' in globals()") == "False"


async def test_what_ignores_its_interrupt_is_killed_and_the_last_checkpoint_is_there(any_box: Any) -> None:
    await any_box.run("x = 1")
    with pytest.raises(SandboxTimeoutError, match="its variables are restored") as late:
        await any_box.run(_DEAF, timeout=0.2)
    assert late.value.execution.state.restored_to == 1
    assert await value(any_box, "x") == "1"


async def test_a_kill_for_memory_has_the_last_checkpoint_afterwards(open_box: Open) -> None:
    # Shared memory, which no limit of the process itself refuses. It runs on, for an engine that only looks at times.
    box = await open_box(memory=256)
    await box.run("x = 1")
    execution = await box.run(_SHARED, check=False)
    assert (execution.cause, execution.state, execution.state.restored_to) == ("memory", "restored", 1)
    assert await value(box, "x, 'hold' in globals()") == "(1, False)"


async def test_a_worker_that_dies_between_executions_is_said_to_have_been_restored(any_box: Any) -> None:
    await any_box.run(
        "import os, threading, time\nx = 1\ndef watch():\n    while not os.path.exists('go'): time.sleep(0.01)\n"
        "    os._exit(3)\nthreading.Thread(target=watch, daemon=True).start()"
    )
    await any_box.files.write("go", "")

    async def gone() -> bool:
        return bool(await any_box.metrics.get("processes") == 0.0)

    await until(gone)
    execution = await any_box.run("x")
    assert (execution.text, execution.state, execution.state.restored_to) == ("1", "restored", 1)
    assert (await any_box.run("x")).state == "kept"


async def test_what_a_failed_execution_changed_is_kept_as_it_was(any_box: Any) -> None:
    await any_box.run("data = [1]")
    with pytest.raises(SandboxExecutionError):
        await any_box.run("data.append(2); fresh = 3; 1/0")
    with pytest.raises(SandboxTimeoutError):
        await any_box.run("data.append(4)\nwhile True: pass", timeout=0.2)
    await restart(any_box)
    assert await value(any_box, "data, fresh") == "([1, 2, 4], 3)"


async def test_what_cannot_be_kept_is_named_and_raises_when_it_is_used(any_box: Any) -> None:
    execution = await any_box.run("stream = (n for n in range(3)); next(stream); other = 5")
    assert (execution.state, execution.state.lost_names) == ("kept", ("stream",))
    assert await value(any_box, "next(stream)") == "1", "as long as its worker lives, it is there"
    (variable,) = (one for one in plain(any_box).variables() if one.name == "stream")
    assert variable.type == "generator"
    assert variable.lost is not None
    await restart(any_box)
    assert await value(any_box, "other") == "5"
    with pytest.raises(SandboxExecutionError, match="stream") as lost:
        await any_box.run("next(stream)")
    assert lost.value.error_type == "StateLost"
    raised = lost.value.execution.exception
    assert raised is not None
    message = raised.message
    assert "generator" in message
    assert "execution 1" in message
    assert message.endswith(variable.lost)
    execution = await any_box.run("stream = 1")
    assert execution.state.lost_names == ()
    await restart(any_box)
    assert await value(any_box, "stream") == "1"


async def test_lost_names_are_told_with_a_crash_too(any_box: Any) -> None:
    await any_box.run("import threading\nlock = threading.Event(); t = threading.Thread(target=lock.wait); t.start()")
    execution = await any_box.run("import os; os._exit(1)", check=False)
    assert (execution.state, execution.state.lost_names) == ("restored", ("t",))


async def test_without_persist_nothing_is_stored(open_box: Open) -> None:
    box = await open_box(persist=False)
    await box.run("x = 1")
    session = plain(box).session_id
    for refused in (box.checkpoint("label"), box.rollback(1), box.fork()):
        with pytest.raises(UsageError, match="persist=False"):
            await refused
    with pytest.raises(UsageError, match="persist=False"):
        plain(box).checkpoints()
    with Store(Path(os.environ["SANDBOX_HOME"]) / "store") as store:
        assert session not in [one.id for one in store.sessions()]
    execution = await box.run("import os; os._exit(1)", check=False)
    assert execution.state == "lost"
    await restart(box)
    assert (await box.run("x", check=False)).exception.error_type == "NameError"


@pytest.mark.here
async def test_environment_variables_that_may_be_secret_are_not_in_the_store(open_box: Open) -> None:
    box = await open_box(env={"TOKEN": "s3cr3t-v4lue"})
    await box.run("import os; os.environ['MINE'] = 'm1ne-v4lue'")
    await box.checkpoint("here")
    with Store(Path(os.environ["SANDBOX_HOME"]) / "store") as store:
        info = store.session(plain(box).session_id, owner="local")
        manifest = store.manifest(info.id, info.head, owner="local")
        with store.parts(info, manifest) as parts:
            stored = b"".join(parts.read(key) for key in manifest) + repr(info).encode()
    assert b"m1ne-v4lue" in stored
    assert b"s3cr3t-v4lue" not in stored


async def test_variables_of_the_environment_that_are_given_anew_win(open_box: Open) -> None:
    box = await open_box(env={"TOKEN": "old", "MINE": "given"})
    await box.run("import os; os.environ['MINE'] = 'set'")
    session = plain(box).session_id
    await box.stop()
    again = await open_box(session_id=session, env={"TOKEN": "new", "MORE": "more"})
    assert await value(again, "[os.environ[n] for n in ('TOKEN', 'MINE', 'MORE')]") == "['new', 'set', 'more']"


async def test_a_deleted_session_is_gone(open_box: Open) -> None:
    box = await open_box()
    await box.run("x = 1; open('f', 'w').close()")
    session = plain(box).session_id
    await box.delete()
    again = await open_box(session_id=session)
    assert await value(again, "'x' in globals(), __import__('os').listdir()") == "(False, [])"
    assert plain(again).get_execution_history()[-1]["number"] == 1


async def test_a_session_that_was_stopped_before_it_is_deleted_is_gone_too(open_box: Open) -> None:
    box = await open_box()
    await box.run("x = 1")
    session = plain(box).session_id
    await box.stop()
    again = await open_box(session_id=session)
    plain(again).cleanup_session()
    with Store(Path(os.environ["SANDBOX_HOME"]) / "store") as store:
        assert session not in [one.id for one in store.sessions()]
