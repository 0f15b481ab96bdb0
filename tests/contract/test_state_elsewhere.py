"""A session goes on in another process: after a good end, after SIGKILL, and never in two at once."""

from __future__ import annotations

import time

import pytest
from tests.contract.conftest import Open
from tests.contract.state import Process, elsewhere, plain, restart, value

from sandbox import LocalSandbox, SessionBusy
from sandbox.core.execution_context import PersistentExecutionContext

pytestmark = pytest.mark.here
_OPEN = "box = LocalSandbox(session_id=sys.argv[1] if len(sys.argv) > 1 else None).start()\n"


async def test_another_process_continues_with_everything(open_box: Open) -> None:
    box = await open_box()
    await box.run("import os\nx = [42]; y = x; names = {str(n) for n in range(50)}; order = list(names)")
    await box.run("os.makedirs('artifacts'); open('artifacts/a', 'w').write('one'); open('f', 'w').write('text');")
    session = plain(box).session_id
    await box.stop()
    look = _OPEN + "say(box.run('y.append(1); x, y is x, open(\"f\").read(), list(names) == order').text)\n"
    look += "(made,) = box.list_artifacts(); say(made.name, made.read())\nbox.stop()"
    assert elsewhere(look, session).splitlines() == ["([42, 1], True, 'text', True)", "a b'one'"]
    await box.start()
    assert await value(box, "x") == "[42, 1]"


async def test_what_another_process_did_to_the_files_is_there_afterwards(open_box: Open) -> None:
    box = await open_box()
    await box.run("open('kept', 'w').write('mine'); open('gone', 'w').close()")
    session = plain(box).session_id
    await box.stop()
    elsewhere(
        _OPEN + 'box.run(\'import os; os.unlink("gone"); open("kept", "w").write("theirs")\')\nbox.stop()', session
    )
    await box.start()
    assert await value(box, "import os; os.listdir(), open('kept').read()") == "(['kept'], 'theirs')"
    assert [one.path for one in await box.files.list()] == ["kept"]


async def test_artifacts_and_history_of_another_process_are_there_afterwards(open_box: Open) -> None:
    box = await open_box()
    await box.run("import os; os.makedirs('artifacts'); open('artifacts/mine', 'w').close()")
    assert [one.name for one in plain(box).list_artifacts()] == ["mine"]
    session = plain(box).session_id
    await box.stop()
    elsewhere(_OPEN + 'box.run(\'open("artifacts/theirs", "w").close()\')\nbox.stop()', session)
    await box.start()
    assert [one.name for one in plain(box).list_artifacts()] == ["mine", "theirs"]
    assert [one["number"] for one in plain(box).get_execution_history()] == [2, 1]


async def test_the_snippet_of_the_api_runs_in_separate_processes() -> None:
    session = elsewhere(
        """
        import asyncio
        from sandbox import LocalSandbox
        async def main():
            sandbox1 = LocalSandbox(name="persistent")
            await sandbox1.start()
            await sandbox1.run("x = 42")
            say(sandbox1.session_id)
        asyncio.run(main())
        """
    )
    context = PersistentExecutionContext(session_id=session)
    sandbox2 = LocalSandbox(name="persistent")
    sandbox2._execution_context = context
    await sandbox2.start()
    result = await sandbox2.run("print(x)")
    assert result.stdout == "42\n"
    await sandbox2.delete()


def test_a_context_has_its_history_and_its_figures_in_another_process() -> None:
    code = """
    context = PersistentExecutionContext(session_id="the-context-of-a-test")
    context.execute_code("x = 1", cache_key="first")
    context.execute_code("x = 1", cache_key="first")
    context.execute_code("1/0")
    """
    elsewhere(code)
    with PersistentExecutionContext(session_id="the-context-of-a-test") as context:
        assert context.execute_code("x")["result"] == "1"
        stats = context.get_execution_stats()
        assert (stats["total_executions"], stats["cache_hits"], stats["cache_misses"]) == (4, 1, 3)
        assert stats["cache_hit_ratio"] == 0.25
        assert stats["average_execution_time"] > 0
        history = context.get_execution_history(limit=3)
        assert [one["number"] for one in history] == [4, 3, 2]
        assert history[1]["error_type"] == "ZeroDivisionError"
        context.cleanup_session()


def test_a_context_whose_session_was_cleaned_up_begins_anew() -> None:
    code = """
    context = PersistentExecutionContext(session_id="a-context-cleaned-up")
    context.execute_code("x = 1")
    context.cleanup_session()
    """
    elsewhere(code)
    with PersistentExecutionContext(session_id="a-context-cleaned-up") as context:
        assert context.execute_code("x")["error_type"] == "NameError"
        assert context.get_execution_stats()["total_executions"] == 1
        context.cleanup_session()


async def test_what_was_returned_is_there_after_a_sigkill_of_the_host(open_box: Open) -> None:
    code = _OPEN + "say(box.session_id)\nbox.run('x = 0')\n"
    code += 'for n in range(5): box.run(\'x += 1; open("f", "w").write(str(x))\'); say(n)\nsys.stdin.read()'
    with Process(code) as process:
        session = process.line()
        for n in range(5):
            assert process.line() == str(n)
        process.kill()
    box = await open_box(session_id=session)
    assert await value(box, "x, open('f').read()") == "(5, '5')"


async def test_a_sigkill_of_the_host_during_an_execution_leaves_the_one_before(open_box: Open) -> None:
    code = _OPEN + 'say(box.session_id)\nbox.run(\'x = 1; open("f", "w").write("1")\')\n'
    code += 'box.run(\'x = 2; open("f", "w").write("2"); print("half")\\nwhile True: pass\', on_stdout=say)'
    with Process(code) as process:
        session = process.line()
        assert process.line() == "half"
        process.kill()
    box = await open_box(session_id=session)
    execution = await box.run("x, open('f').read()")
    assert (execution.text, execution.number) == ("(1, '1')", 2)
    assert [one.execution for one in plain(box).checkpoints()] == [1, 2]


async def test_a_session_is_taken_over_at_once_from_a_process_that_was_killed(open_box: Open) -> None:
    with Process(_OPEN + "box.run('x = 1')\nsay(box.session_id)\nsys.stdin.read()") as process:
        session = process.line()
        with pytest.raises(SessionBusy, match=str(process.pid)) as busy:
            await open_box(session_id=session)
        assert busy.value.details["pid"] == process.pid
        process.kill()
    begun = time.monotonic()
    box = await open_box(session_id=session)
    assert await value(box, "x") == "1"
    assert time.monotonic() - begun < 10


async def test_a_session_that_is_open_here_is_busy_elsewhere_until_it_is_stopped(open_box: Open) -> None:
    box = await open_box()
    await box.run("x = 1")
    session = plain(box).session_id
    code = "from sandbox import SessionBusy\ntry:\n    box = LocalSandbox(session_id=sys.argv[1]).start()\n"
    code += "except SessionBusy as error:\n    say('busy')\nelse:\n    say(box.run('x').text)\n    box.stop()"
    assert elsewhere(code, session) == "busy"
    await box.stop()
    assert elsewhere(code, session) == "1"
    await box.start()
    assert await value(box, "x") == "1"


async def test_a_process_that_ends_without_a_stop_lets_others_have_the_session(open_box: Open) -> None:
    session = elsewhere(_OPEN + "box.run('x = 1')\nsay(box.session_id)")
    box = await open_box(session_id=session)
    assert await value(box, "x") == "1"


async def test_a_session_that_was_deleted_elsewhere_is_gone_here(open_box: Open) -> None:
    session = elsewhere(_OPEN + 'box.run(\'x = 1; open("f", "w").close()\')\nsay(box.session_id)\nbox.stop()')
    assert elsewhere(_OPEN + "box.delete()", session) == ""
    box = await open_box(session_id=session)
    assert await value(box, "'x' in globals(), __import__('os').listdir()") == "(False, [])"


async def test_a_stopped_session_that_was_deleted_elsewhere_begins_anew_here(open_box: Open) -> None:
    box = await open_box()
    await box.run("x = 1; open('f', 'w').close()")
    session = plain(box).session_id
    await box.stop()
    elsewhere(_OPEN + "box.delete()", session)
    await box.start()
    assert await value(box, "'x' in globals(), __import__('os').listdir()") == "(False, [])"


async def test_many_processes_after_one_another_add_up(open_box: Open) -> None:
    box = await open_box()
    await box.run("x = []")
    session = plain(box).session_id
    for n in range(3):
        await box.stop()
        ending = ("box.stop()", "pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")[n]
        with Process(f"{_OPEN}box.run('x.append({n})')\nsay('done')\n{ending}", session) as process:
            assert process.line() == "done"
            process.kill() if n == 2 else process.end()
        await box.start()
    assert await value(box, "x") == "[0, 1, 2]"
    await restart(box)
    assert await value(box, "x") == "[0, 1, 2]"
