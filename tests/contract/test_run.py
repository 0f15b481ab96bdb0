"""What running code means, whatever carries it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from tests.contract.conftest import Open, stream_of

from sandbox import (
    SandboxClosedError,
    SandboxCrashedError,
    SandboxExecutionError,
    SandboxInterruptedError,
    SandboxTimeoutError,
)
from sandbox.results import ExecutionData


async def test_variables_live_between_executions(any_box: Any) -> None:
    await any_box.run("x = 41")
    assert (await any_box.run("x + 1")).text == "42"


async def test_the_value_of_the_last_expression_is_the_main_result(any_box: Any) -> None:
    execution = await any_box.run("[1, 2][0]\n{'a': 1}")
    assert execution.text == "{'a': 1}"
    assert [result.main for result in execution.results] == [True]


async def test_none_is_no_result(any_box: Any) -> None:
    assert (await any_box.run("None")).results == []


async def test_a_trailing_semicolon_keeps_the_value_to_itself(any_box: Any) -> None:
    assert (await any_box.run("1 + 1;")).results == []


async def test_top_level_await_works(any_box: Any) -> None:
    execution = await any_box.run("import asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 'done')")
    assert execution.text == "'done'"


async def test_a_task_outside_the_loop_gets_a_hint(any_box: Any) -> None:
    execution = await any_box.run("import asyncio\nasync def f(): pass\nc = f()\nasyncio.create_task(c)", check=False)
    assert "await something" in execution.exception.traceback
    await any_box.run("c.close()")


async def test_asyncio_run_works_in_a_cell(any_box: Any) -> None:
    execution = await any_box.run("import asyncio\nasync def main(): return 7\nasyncio.run(main())")
    assert execution.text == "7"


async def test_a_task_that_a_cell_leaves_behind_runs_on(any_box: Any) -> None:
    await any_box.run(
        "import asyncio\nseen = []\nasync def work():\n    for n in range(3):\n        await asyncio.sleep(0.01)\n"
        "        seen.append(n)\ntask = asyncio.create_task(work())\nawait asyncio.sleep(0)"
    )
    assert (await any_box.run("await task\nseen")).text == "[0, 1, 2]"


async def test_both_streams_stay_in_order(any_box: Any) -> None:
    execution = await any_box.run(
        "import sys\nfor n in range(3):\n    print('out', n)\n    print('err', n, file=sys.stderr)"
    )
    assert await execution.output() == "out 0\nerr 0\nout 1\nerr 1\nout 2\nerr 2\n"
    assert execution.stdout == "out 0\nout 1\nout 2\n"


async def test_results_stay_in_order_with_output(any_box: Any) -> None:
    events = await stream_of(any_box, "print('a')\ndisplay(1)\nprint('b')\n2")
    shown = [getattr(event, "text", None) or event.data["text/plain"] for event in events[:-1]]
    assert "".join(shown).replace("\n", "") == "a1b2"


async def test_output_of_subprocesses_and_c_code_is_captured(any_box: Any) -> None:
    execution = await any_box.run(
        "import subprocess, os\nprint('python', flush=True)\nsubprocess.run(['echo', 'child'])\nos.write(1, b'raw\\n');"
    )
    assert execution.stdout == "python\nchild\nraw\n"


async def test_output_that_is_not_utf8_is_replaced(any_box: Any) -> None:
    execution = await any_box.run("import os\nos.write(1, b'caf\\xe9 \\xf0\\x9f\\x98\\x80\\n');")
    assert execution.stdout == "caf\ufffd \U0001f600\n"


async def test_lone_surrogates_do_not_break_anything(any_box: Any) -> None:
    execution = await any_box.run("print('\\udcff')\n'\\udcff'")
    assert execution.ok
    assert "udcff" in execution.stdout


async def test_what_a_thread_prints_later_is_kept_and_marked(any_box: Any) -> None:
    await any_box.run(
        "import threading\ngo = threading.Event()\n"
        "t = threading.Thread(target=lambda: (go.wait(), print('late', flush=True)))\nt.start()"
    )
    everything = (await any_box.run("go.set()")).stdout
    everything += (await any_box.run("t.join()")).stdout
    everything += (await any_box.run("")).stdout
    assert "late" in everything


async def test_output_between_executions_is_marked_late(any_box: Any) -> None:
    script = "echo now; until [ -e go ]; do sleep 0.01; done; echo later; touch said"
    await any_box.run(f"import subprocess\np = subprocess.Popen(['sh', '-c', {script!r}])")
    await any_box.files.write("go", "")
    async with asyncio.timeout(20):
        while not await any_box.files.exists("said"):  # noqa: ASYNC110 - no event of ours
            await asyncio.sleep(0.01)
    execution = await any_box.run("p.wait()")
    assert execution.late_output.endswith("later\n")


async def test_an_exception_has_its_traceback_without_foreign_frames(any_box: Any) -> None:
    with pytest.raises(SandboxExecutionError) as caught:
        await any_box.run("def f(n):\n    return 1 / n\nf(0)")
    assert caught.value.error_type == "ZeroDivisionError"
    # Without the marks below a line, which newer Pythons set at more lines.
    assert re.sub(r"\n *[~^]+(?=\n)", "", caught.value.traceback) == (
        "Traceback (most recent call last):\n"
        '  File "<cell 1>", line 3, in <module>\n    f(0)\n'
        '  File "<cell 1>", line 2, in f\n    return 1 / n\n'
        "ZeroDivisionError: division by zero\n"
    )
    assert caught.value.execution.state == "kept"


async def test_an_exception_in_an_awaited_cell_has_no_foreign_frames(any_box: Any) -> None:
    with pytest.raises(SandboxExecutionError) as caught:
        await any_box.run("import asyncio\nasync def f():\n    raise KeyError('x')\nawait f()")
    assert "asyncio" not in caught.value.traceback.replace("import asyncio", "")
    assert caught.value.traceback.count("File") == 2


async def test_variables_of_a_failing_cell_stay(any_box: Any) -> None:
    await any_box.run("a = 1\nraise ValueError\nb = 2", check=False)
    assert (await any_box.run("a, 'b' in globals()")).text == "(1, False)"


async def test_a_syntax_error_shows_its_place(any_box: Any) -> None:
    execution = await any_box.run("x = (1,\n  y z)", check=False)
    assert execution.exception.error_type == "SyntaxError"
    assert "^" in execution.exception.traceback
    assert '"<cell 1>", line 2' in execution.exception.traceback


async def test_ipython_magics_get_a_hint(any_box: Any) -> None:
    execution = await any_box.run("!pip install x", check=False)
    assert "not Python" in execution.exception.traceback


async def test_sys_exit_ends_the_execution_and_not_the_session(any_box: Any) -> None:
    await any_box.run("x = 1")
    assert (await any_box.run("import sys\nsys.exit()\nx = 2")).ok
    execution = await any_box.run("sys.exit(3)", check=False)
    assert (execution.exit_code, execution.exception.error_type) == (3, "SystemExit")
    assert (await any_box.run("x")).text == "1"


async def test_input_says_why_it_cannot_ask(any_box: Any) -> None:
    with pytest.raises(SandboxExecutionError, match="nobody to ask"):
        await any_box.run("input('name?')")


async def test_a_warning_is_shown_once_for_each_place(any_box: Any) -> None:
    await any_box.run("import warnings\ndef f():\n    warnings.warn('careful')")
    execution = await any_box.run("for _ in range(3): f()\nf()")
    assert execution.stderr.count("UserWarning: careful") == 1
    assert (await any_box.run("f()")).stderr == ""
    assert "careful" in (await any_box.run("warnings.warn('careful')")).stderr


async def test_functions_know_their_source(any_box: Any) -> None:
    await any_box.run("def f():\n    return 1")
    assert "return 1" in (await any_box.run("import inspect\nprint(inspect.getsource(f))")).stdout


async def test_future_imports_hold_for_later_cells(any_box: Any) -> None:
    await any_box.run("from __future__ import annotations")
    assert (await any_box.run("def f(a: Missing): pass\nf.__annotations__")).text == "{'a': 'Missing'}"


async def test_modules_of_the_workspace_can_be_imported(any_box: Any) -> None:
    await any_box.files.write("helper.py", "def double(n):\n    return 2 * n\n")
    assert (await any_box.run("import helper\nhelper.double(21)")).text == "42"


async def test_the_same_code_is_compiled_once(any_box: Any) -> None:
    assert not (await any_box.run("y = 1")).cache_hit
    assert (await any_box.run("y = 1")).cache_hit
    await any_box.run("y = 2", cache_key="k")
    assert (await any_box.run("y = 2", cache_key="k")).cache_hit
    assert not (await any_box.run("y = 3", cache_key="k")).cache_hit
    assert (await any_box.run("y")).text == "3"
    any_box.clear_cache()
    assert not (await any_box.run("y = 1")).cache_hit


async def test_callbacks_are_called_while_the_code_runs(any_box: Any) -> None:
    seen: list[object] = []
    await any_box.run(
        "import sys\nprint('a')\nprint('b', file=sys.stderr)\n7",
        on_stdout=lambda text: seen.append(("out", text.strip())),
        on_stderr=lambda text: seen.append(("err", text.strip())),
        on_result=lambda result: seen.append(result.text),
    )
    assert [event for event in seen if event not in {("out", ""), ("err", "")}] == [("out", "a"), ("err", "b"), "7"]


async def test_a_stream_ends_with_the_execution_and_never_raises(any_box: Any) -> None:
    events = await stream_of(any_box, "print('x')\n1 / 0")
    assert isinstance(events[-1], ExecutionData)
    assert events[-1].exception is not None
    assert events[0].text.startswith("x")


async def test_a_timeout_interrupts_and_keeps_the_variables(any_box: Any) -> None:
    await any_box.run("x = 5")
    with pytest.raises(SandboxTimeoutError) as caught:
        await any_box.run("while True: pass", timeout=0.2)
    assert caught.value.timeout == 0.2
    assert caught.value.execution.status == "timeout"
    assert caught.value.execution.cause == "timeout"
    assert caught.value.execution.state == "kept"
    assert (await any_box.run("x")).text == "5"


async def test_a_timeout_ends_a_sleep_and_an_await(any_box: Any) -> None:
    for code in ("import time\ntime.sleep(60)", "import asyncio\nawait asyncio.sleep(60)"):
        execution = await any_box.run(code, timeout=0.2, check=False)
        assert (execution.status, execution.state) == ("timeout", "kept")
        assert execution.execution_time < 2


async def test_code_that_ignores_the_interrupt_is_killed_after_a_grace(any_box: Any) -> None:
    execution = await any_box.run(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", timeout=0.2, check=False
    )
    assert (execution.status, execution.cause, execution.state) == ("timeout", "timeout", "lost")
    assert 2 < execution.execution_time < 8
    assert (await any_box.run("1 + 1")).text == "2"


async def test_interrupt_stops_the_code_and_keeps_the_variables(any_box: Any) -> None:
    await any_box.run("x = 6")
    running = asyncio.create_task(any_box.run("print('on', flush=True)\nimport time\ntime.sleep(60)"))
    await asyncio.sleep(0.3)
    await any_box.interrupt()
    with pytest.raises(SandboxInterruptedError) as caught:
        await running
    assert caught.value.execution.status == "interrupted"
    assert (await any_box.run("x")).text == "6"


async def test_interrupting_nothing_is_harmless(any_box: Any) -> None:
    await any_box.interrupt()
    assert (await any_box.run("1")).text == "1"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import os\nos._exit(3)", "exit code 3"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import os\nos.abort()", "SIGABRT"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nos._exit(1)", "worker"),
    ],
)
async def test_a_dead_worker_is_a_typed_cause_and_costs_one_session(any_box: Any, code: str, text: str) -> None:
    with pytest.raises(SandboxCrashedError) as caught:
        await any_box.run(code)
    execution = caught.value.execution
    assert (execution.status, execution.cause, execution.state) == ("crashed", "crashed", "lost")
    assert execution.cause is not None
    assert text in execution.cause.message
    assert (await any_box.run("1 + 1")).text == "2"


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("os.kill(os.getpid(), 15)", 143),
        ("os.kill(0, signal.SIGTERM)", 143),
        ("os.killpg(os.getpgrp(), signal.SIGHUP)", 129),
        ("signal.raise_signal(signal.SIGUSR1)", 138),
        ("os.abort()", 134),
    ],
)
async def test_code_that_ends_itself_by_a_signal_has_ended(any_box: Any, code: str, exit_code: int) -> None:
    execution = await any_box.run(f"import os, signal\nprint('before')\n{code}\nprint('after')", check=False)
    assert (execution.status, execution.cause, execution.stdout) == ("crashed", "crashed", "before\n")
    assert execution.exception.exit_code == exit_code


async def test_signals_that_end_nothing_end_nothing(any_box: Any) -> None:
    execution = await any_box.run(
        "import os, signal, subprocess, sys\nseen = []\n"
        "os.kill(os.getpid(), 0); os.kill(os.getpid(), signal.SIGCHLD); signal.raise_signal(signal.SIGWINCH)\n"
        "old = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\nsignal.signal(signal.SIGTERM, old)\n"
        "mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); os.kill(os.getpid(), signal.SIGUSR1)\n"
        "child = os.fork()\nif child == 0: os.kill(os.getpid(), 15)\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); os.kill(other.pid, 9)\n"
        "print(seen, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), other.wait())"
    )
    assert execution.stdout == "[15] -15 -9\n"


async def test_a_worker_that_dies_between_executions_is_told_of(any_box: Any) -> None:
    ends = "    while not os.path.exists('go'): time.sleep(0.01)\n    open('gone', 'w').close(); os._exit(1)"
    await any_box.run(f"x = 1\nimport os, threading, time\ndef end():\n{ends}\nthreading.Thread(target=end).start()")
    await any_box.files.write("go", "")
    async with asyncio.timeout(20):
        while not await any_box.files.exists("gone"):  # noqa: ASYNC110 - no event of ours
            await asyncio.sleep(0.01)
    for _ in range(100):
        execution = await any_box.run("1", check=False)
        if execution.state != "kept":
            break
        await asyncio.sleep(0.05)
    assert (execution.state, execution.state.restored_to) == ("restored", execution.number - 1)
    execution = await any_box.run("x")
    assert (execution.text, execution.state) == ("1", "kept")


async def test_a_forked_copy_of_the_worker_does_not_answer(any_box: Any) -> None:
    execution = await any_box.run(
        "import os\npid = os.fork()\nif pid == 0:\n    print('child', flush=True)\n"
        "else:\n    os.waitpid(pid, 0)\n    print('parent')"
    )
    assert sorted(execution.stdout.split()) == ["child", "parent"]
    assert (await any_box.run("1")).text == "1"


async def test_a_stopped_sandbox_says_so_and_can_start_again(open_box: Open) -> None:
    box = await open_box()
    session = box.session_id
    await box.files.write("kept.txt", "here")
    await box.stop()
    with pytest.raises(SandboxClosedError):
        await box.run("1")
    await box.start()
    assert box.session_id == session
    assert (await box.run("open('kept.txt').read()")).text == "'here'"


async def test_output_beyond_the_limit_is_dropped_and_marked(open_box: Open) -> None:
    box = await open_box(output=0.1)
    execution = await box.run("for _ in range(30000): print('x' * 99)")
    assert len(execution.stdout) == 100_000
    assert execution.truncated == ("stdout",)
    assert execution.cause == "output"
    assert execution.ok


async def test_a_deleted_session_is_gone(open_box: Open) -> None:
    box = await open_box()
    await box.run("open('x', 'w').write('1')")
    await box.delete()
    with pytest.raises(SandboxClosedError):
        await box.run("1")


async def test_completions_come_from_the_live_session(any_box: Any) -> None:
    await any_box.run("some_name = [1]")
    assert await any_box.complete("some_na") == ["some_name"]
    assert "some_name.append(" in await any_box.complete("some_name.app")


async def test_what_confines_an_execution_is_in_its_result(any_box: Any) -> None:
    execution = await any_box.run("1")
    assert execution.isolation in {"namespaces", "landlock"}
    assert execution.network == "none"
    assert {"seccomp", "landlock", "capabilities", "no_new_privs", "environment"} <= set(execution.enforced)
    assert any_box.isolation == execution.isolation


async def test_usage_is_measured(any_box: Any) -> None:
    execution = await any_box.run("import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass")
    assert execution.usage.cpu_seconds > 0.15
    assert execution.started_at is not None


async def test_files_that_an_execution_changes_are_listed(any_box: Any) -> None:
    execution = await any_box.run(
        "open('a', 'w').write('1')\nimport os\nos.makedirs('d/e')\nopen('d/e/b', 'w').write('2');"
    )
    assert execution.files.created == ("a", "d/e/b")
    execution = await any_box.run("open('a', 'a').write('2')\nos.unlink('d/e/b')")
    assert (execution.files.created, execution.files.modified, execution.files.deleted) == ((), ("a",), ("d/e/b",))
    assert not (await any_box.run("1")).files


async def test_files_below_artifacts_become_artifacts(any_box: Any) -> None:
    execution = await any_box.run(
        "import os\nos.makedirs('artifacts/sub')\n"
        "open('artifacts/sub/t.csv', 'w').write('a,b\\n')\nopen('other', 'w').write('')"
    )
    (artifact,) = execution.artifacts
    assert (artifact.name, artifact.mime, artifact.size, artifact.execution) == ("sub/t.csv", "text/csv", 4, 1)
    assert artifact.read() == b"a,b\n"
    await any_box.run("open('artifacts/sub/t.csv', 'w').write('changed')")
    assert artifact.read() == b"a,b\n"
    assert [found.execution for found in any_box.list_artifacts()] == [1, 2]


async def test_artifacts_that_were_removed_are_gone_and_the_files_they_are_copies_of_stay(any_box: Any) -> None:
    await any_box.run("import os; os.mkdir('artifacts'); [open(f'artifacts/{n}', 'w').write(n) for n in 'abc'];")
    a, b, c = any_box.list_artifacts()
    removed = any_box.remove_artifacts([a, b.id, "9/none"])
    assert [one.name for one in removed] == ["a", "b"]
    assert any_box.list_artifacts() == [c]
    assert not a.path.exists()
    assert c.read() == b"c"
    assert sorted(file.name for file in await any_box.files.list("artifacts")) == ["a", "b", "c"]
    await any_box.stop()
    await any_box.start()
    assert [one.name for one in any_box.list_artifacts()] == ["c"]
    assert any_box.list_artifacts()[0].read() == b"c"
