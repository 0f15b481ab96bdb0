"""Sessions in JavaScript that work in the files of another session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.engine.living import cell_of, kill_worker, until

from sandbox import LocalSandbox, SandboxClosedError, SandboxOptions, UsageError
from sandbox.engine.thread import EngineThread
from sandbox.protocol import messages as m
from sandbox.sdk.convert import session_options

Beside = Callable[..., Awaitable[LocalSandbox]]
READ = "require('fs').readFileSync({!r}, 'utf8')"
WRITE = "require('fs').writeFileSync({!r}, {!r})"


@pytest.fixture
async def beside(box: LocalSandbox, node: EngineThread) -> AsyncIterator[Beside]:
    """Opens sessions in JavaScript that work in the files of `box`, or of another session."""
    made: list[LocalSandbox] = []

    async def open_beside(name: str = "beside", **changes: Any) -> LocalSandbox:
        options = session_options(SandboxOptions(language=changes.pop("language", "javascript")))
        options = msgspec.structs.replace(options, files_of=box.session_id, **changes)
        await box._connection.ask(m.OpenSession(options, name), m.SessionOpened)
        made.append(await LocalSandbox(session_id=name))
        return made[-1]

    yield open_beside
    for one in made:
        if node._engine.sessions.has(one.session_id):
            await one.delete()


async def test_both_see_what_the_other_writes_and_each_change_is_told_once(box: LocalSandbox, beside: Beside) -> None:
    other = await beside()
    await box.run("open('a', 'w').write('python'); x = 1")
    await box.files.write("b", "host")
    ran = await other.run(f"{READ.format('a')} + {READ.format('b')} + typeof x")
    assert ran.text == "'pythonhostundefined'"
    assert ran.files.created == ()
    assert (await other.run(WRITE.format("c", "js"))).files.created == ("c",)
    read = await box.run("open('c').read()")
    assert read.text == "'js'"
    assert read.files.created == ()
    assert await other.files.read_text("c") == "js"
    assert (await other.run("/^.workspace/.test(process.cwd()) || process.cwd() === process.env.HOME")).text == "true"


async def test_the_files_are_in_the_checkpoints_of_their_own_session_alone(box: LocalSandbox, beside: Beside) -> None:
    other = await beside()
    await box.run("x = 1")
    (before,) = box.checkpoints()
    await other.run(f"let n = 1; {WRITE.format('made', 'js')}")
    assert box.diff(before, box.checkpoints()[-1]).files.added == ("made",)
    (first,) = other.checkpoints()
    await other.run(f"n = 2; {WRITE.format('made', 'again')}")
    assert not other.diff(first, other.checkpoints()[-1]).files
    await other.rollback(first)
    assert (await other.run(f"n + {READ.format('made')}")).text == "'1again'"
    await box.rollback(before)
    assert (await other.run("n + require('fs').readdirSync('.').join()")).text == "'1'"


async def test_what_is_changed_while_the_other_one_runs_is_saved_when_that_ends(
    box: LocalSandbox, beside: Beside
) -> None:
    other = await beside()
    await box.run("1")
    (before,) = box.checkpoints()
    running = asyncio.create_task(box.run("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"))
    assert (await other.run(WRITE.format("go", "js"))).ok
    assert (await running).ok
    until(lambda: "go" in box.diff(before, box.checkpoints()[-1]).files.added)


async def test_a_worker_that_died_comes_back_to_the_files_as_they_are(
    box: LocalSandbox, beside: Beside, node: EngineThread
) -> None:
    other = await beside()
    await other.run(f"let n = 41; {WRITE.format('made', 'js')}")
    assert kill_worker(node, other.session_id)
    await box.run("open('made', 'a').write(' and python')")
    ran = await other.run(f"n + {READ.format('made')}")
    assert (ran.text, ran.state) == ("'41js and python'", "restored")
    assert kill_worker(node, box.session_id)
    assert (await box.run("open('made').read()")).text == "'js and python'"


async def test_it_is_closed_with_the_session_whose_files_it_has_and_comes_back_with_it(
    box: LocalSandbox, beside: Beside, node: EngineThread
) -> None:
    other = await beside()
    await other.run(f"let n = 41; {WRITE.format('made', 'js')}")
    await box.stop()
    with pytest.raises(SandboxClosedError):
        await other.run("n")
    with pytest.raises(SandboxClosedError, match="files are those of another session"):
        await LocalSandbox(session_id=other.session_id)
    await box.start()
    other = await beside()
    assert (await other.run(f"n + {READ.format('made')}")).text == "'41js'"
    with pytest.raises(UsageError, match="not begun with files_of='another'"):
        await _open(box, other.session_id, files_of="another")


async def test_it_is_deleted_with_the_session_whose_files_it_has(
    box: LocalSandbox, beside: Beside, node: EngineThread
) -> None:
    other = await beside()
    await other.run("1")
    cell = cell_of(node, other.session_id)
    assert cell is not None
    await box.delete()
    assert not cell.worker.alive
    assert not node._engine.sessions.has(other.session_id)
    again = await LocalSandbox(session_id=other.session_id)  # a new one of that name
    assert again.get_execution_history() == []
    await again.delete()


async def _open(box: LocalSandbox, name: str, **changes: Any) -> None:
    options = msgspec.structs.replace(session_options(SandboxOptions()), **changes)
    await box._connection.ask(m.OpenSession(options, name), m.SessionOpened)


async def test_what_cannot_be_shared_is_a_clear_error(box: LocalSandbox, beside: Beside, node: EngineThread) -> None:
    other = await beside()
    with pytest.raises(UsageError, match="for sessions in JavaScript"):
        await _open(box, "python", files_of=box.session_id)
    with pytest.raises(UsageError, match="has no files of its own"):
        await _open(box, "third", files_of=other.session_id, language="javascript")
    with pytest.raises(SandboxClosedError, match="no open session 'nobody'"):
        await _open(box, "third", files_of="nobody", language="javascript")
    with pytest.raises(UsageError, match="not begun with files_of"):
        await _open(box, box.session_id, files_of=other.session_id)
    with pytest.raises(UsageError, match="no files of its own to fork"):
        await other.fork()
    assert not any(map(node._engine.sessions.has, ("python", "third")))


async def test_another_owners_files_are_as_if_they_were_not_there(
    box: LocalSandbox, beside: Beside, node: EngineThread
) -> None:
    options = m.SessionOptions(language="javascript", files_of=box.session_id)
    with pytest.raises(SandboxClosedError, match="no open one"):
        await box._connection.ask(m.OpenSession(options, "theirs", owner="somebody"), m.SessionOpened)


@pytest.mark.needs_namespaces
async def test_a_change_of_the_network_is_for_both(box: LocalSandbox, beside: Beside, node: EngineThread) -> None:
    other = await beside(network="policy", policy=m.PolicySpec(("example.com",)))
    known = node._engine.sessions.known
    assert known(other.session_id).egress.serving
    await box._connection.ask(m.SetNetwork(box.session_id, "none"), m.Done)
    assert known(other.session_id).options.network == "none"
    assert known(other.session_id).options.policy == m.PolicySpec()


async def test_it_sees_no_files_but_those(box: LocalSandbox, beside: Beside, make: Any) -> None:
    stranger = make(name="stranger")
    await stranger.start()
    await stranger.run("open('secret', 'w').write('SECRET')")
    other = await beside()
    place = Path(stranger._known.workspace_dir)
    for directory in ("/.workspaces", f"/.workspaces/{place.parent.name}", str(place.parent), str(place)):
        listed = await other.run(f"require('fs').readdirSync({directory!r}).length", check=False)
        assert listed.exception is not None or listed.text == "0", directory
        read = await other.run(READ.format(f"{directory}/secret"), check=False)
        assert read.exception is not None
    assert (await stranger.run("open('secret').read()")).text == "'SECRET'"


async def test_parking_the_one_leaves_the_other_its_files(
    box: LocalSandbox, beside: Beside, node: EngineThread
) -> None:
    other = await beside()
    await box.run("x = 41; open('a', 'w').write('a')")
    sessions = node._engine.sessions
    parked = asyncio.run_coroutine_threadsafe(sessions.park(sessions.known(box.session_id)), node._loop)
    await asyncio.wrap_future(parked)
    until(lambda: cell_of(node, box.session_id) is None)
    assert (await other.run(f"{WRITE.format('b', 'b')}; {READ.format('a')}")).text == "'a'"
    assert (await box.run("str(x) + open('b').read()")).text == "'41b'"
