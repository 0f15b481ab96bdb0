"""`sandbox.command` against a real sandbox: programs that behave, and programs that do not."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import sandbox.sync
from sandbox import (
    LocalSandbox,
    SandboxClosedError,
    SandboxCommandError,
    SandboxError,
    SandboxTimeoutError,
    UsageError,
)
from sandbox.engine import causes, commands
from sandbox.engine.forker import Forked
from sandbox.engine.thread import EngineThread
from sandbox.engine.zygote import Zygote
from sandbox.protocol.messages import Output
from sandbox.sdk.command import CommandHandle

Make = Callable[..., LocalSandbox]


@pytest.fixture
def sleep() -> str:
    """A command line that nobody else on this machine has."""
    return f"sleep {4711 + next(_numbers)}.{os.getpid()}"


_numbers = itertools.count()


def alive(sleep: str) -> bool:
    """Whether some process sleeps by this command line, as the host sees it."""
    wanted = sleep.replace(" ", "\0").encode() + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes() == wanted:
                return True
    return False


async def until_gone(sleep: str) -> None:
    await until(lambda: not alive(sleep))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
async def loud(make: Make) -> LocalSandbox:
    """A sandbox that may print a lot."""
    box = make(output=64)
    await box.start()
    return box


# --- running to the end ---------------------------------------------------------------------------------------------


async def test_both_forms_run_the_same_program(box: LocalSandbox) -> None:
    first = await box.command.run("echo", ["a  b", "$HOME", "*"])
    second = await box.command.run(["echo", "a  b", "$HOME", "*"])
    third = await box.command.run(("echo", "a  b"), ["$HOME", "*"])
    assert first.stdout == second.stdout == third.stdout == "a  b $HOME *\n"
    assert first.argv == second.argv == third.argv
    assert (first.exit_code, first.ok, first.stderr, first.cause) == (0, True, "", None)
    assert 0 < first.execution_time < 30


async def test_a_line_of_shell_may_have_pipes_and_variables(box: LocalSandbox) -> None:
    done = await box.command.shell("for n in 3 1 2; do echo $n; done | sort -r | head -2; echo $SANDBOX >&2")
    assert (done.stdout, done.stderr) == ("3\n2\n", "1\n")
    assert await done.output() == done.combined


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", -9), ("kill -TERM $$", -15)]
)
async def test_exit_codes_are_those_of_the_program_and_negative_for_signals(
    box: LocalSandbox, script: str, code: int
) -> None:
    done = await box.command.shell(script)
    assert (done.exit_code, done.ok) == (code, code == 0)


async def test_a_failure_raises_only_when_asked_to(box: LocalSandbox) -> None:
    with pytest.raises(SandboxCommandError, match="/bin/sh ended with exit code 3: why") as caught:
        await box.command.shell("echo out; echo why >&2; exit 3", check=True)
    assert caught.value.execution.exit_code == 3
    assert caught.value.execution.stdout == "out\n"
    assert caught.value.details == {"exit_code": 3}
    assert (await box.command.shell("true", check=True)).ok


@pytest.mark.parametrize(("script", "message"), [("exit 4", "exit code 4"), ("kill -TERM $$", "signal 15")])
async def test_a_failure_without_a_word_says_how_it_ended(box: LocalSandbox, script: str, message: str) -> None:
    with pytest.raises(SandboxCommandError, match=f"^/bin/sh ended with {message}$"):
        await box.command.shell(script, check=True)


async def test_output_is_passed_on_while_the_program_runs(box: LocalSandbox) -> None:
    texts: list[tuple[str, str]] = []

    async def on_stderr(text: str) -> None:
        texts.append(("err", text))

    handle_done = box.command.shell(
        "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two >&2",
        on_stdout=lambda text: texts.append(("out", text)),
        on_stderr=on_stderr,
    )
    task = asyncio.create_task(handle_done)
    await until(lambda: bool(texts))
    assert texts == [("out", "one\n")]
    await box.files.write("go", b"")
    await task
    assert texts == [("out", "one\n"), ("err", "two\n")]


async def test_a_callback_that_raises_ends_the_program(box: LocalSandbox, sleep: str) -> None:
    def fail(text: str) -> None:
        raise LookupError(text)

    with pytest.raises(LookupError, match="hello"):
        await box.command.shell(f"echo hello; exec {sleep}", on_stdout=fail)
    await until_gone(sleep)


async def test_the_environment_is_the_sandboxs_with_what_is_asked_for(make: Make) -> None:
    box = make(env={"FROM_OPTIONS": "1", "BOTH": "options"})
    await box.start()
    done = await box.command.run("env", env={"BOTH": "command", "EMPTY": "", "ODD": "a=b\nc ä"})
    assert "FROM_OPTIONS=1\n" in done.stdout
    assert "BOTH=command\n" in done.stdout
    assert "EMPTY=\n" in done.stdout
    assert "ODD=a=b\nc ä\n" in done.stdout
    again = await box.command.run("env")
    assert "BOTH=options\n" in again.stdout


async def test_the_hosts_environment_is_not_visible(box: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS_SECRET", "x")
    assert "HOSTS_SECRET" not in (await box.command.run("env")).stdout


async def test_it_runs_in_the_workspace_or_below(box: LocalSandbox) -> None:
    await box.files.make_dir("a/b")
    here = (await box.command.run("pwd")).stdout.strip()
    assert (await box.command.run("pwd", cwd="a/b")).stdout.strip() == f"{here}/a/b"
    assert (await box.command.run("pwd", cwd=f"{here}/a")).stdout.strip() == f"{here}/a"
    assert (await box.command.run("pwd", cwd="a/../a")).stdout.strip() == f"{here}/a"


async def test_files_that_it_changes_are_named(box: LocalSandbox) -> None:
    await box.files.write("old", b"x")
    await box.run("pass")
    done = await box.command.shell("echo y > new; echo z >> old; mkdir -p d; touch d/e")
    assert (done.files.created, done.files.modified, done.files.deleted) == (("d/e", "new"), ("old",), ())
    done = await box.command.run("rm", ["new"])
    assert done.files.deleted == ("new",)


async def test_it_shares_the_sandboxs_files_and_limits_with_cells(box: LocalSandbox) -> None:
    await box.run("open('from_cell', 'w').write('hello')")
    assert (await box.command.run("cat", ["from_cell"])).stdout == "hello"
    same = await box.command.run("id", ["-u"])
    assert same.stdout.strip() == (await box.run("import os; print(os.getuid())")).stdout.strip()


# --- what cannot be run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-script", "/no/such/path"])
async def test_a_program_that_is_not_there_is_named(box: LocalSandbox, program: str) -> None:
    with pytest.raises(UsageError, match=f"'{program}' could not be started in the workspace: ") as caught:
        await box.command.run(program)
    known = "No such file" if "/" in program else f"there is no program '{program}' in the sandbox's PATH"
    assert known in str(caught.value)
    assert f"b'{program}'" not in str(caught.value)


async def test_a_file_that_may_not_be_run_is_named(box: LocalSandbox) -> None:
    await box.files.write("script", b"echo hello\n")
    with pytest.raises(UsageError, match=r"'./script' could not be started in the workspace: .*Permission denied"):
        await box.command.run("./script")


@pytest.mark.needs_namespaces  # at level landlock a file keeps its mode
async def test_a_file_that_is_no_program_is_named(box: LocalSandbox) -> None:
    await box.files.write("script", b"echo hello\n")
    await box.command.run("chmod", ["+x", "script"], check=True)
    with pytest.raises(UsageError, match=r"'./script' could not be started in the workspace: .*Exec format error"):
        await box.command.run("./script")


@pytest.mark.parametrize("cwd", ["not there", "/root/not there", "/no/such/directory"])
async def test_a_directory_that_the_sandbox_does_not_see_is_named(box: LocalSandbox, cwd: str) -> None:
    with pytest.raises(UsageError, match=f"'ls' could not be started in {cwd}: .*(No such file|Permission denied)"):
        await box.command.run("ls", cwd=cwd)


@pytest.mark.needs_namespaces  # at level landlock the host's directories have their places, and cannot be read
async def test_a_directory_of_the_host_is_not_a_place_to_run_in(box: LocalSandbox, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not be started in"):
        await box.command.run("ls", cwd=str(tmp_path))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda command: command.run("ls", "-la"), "args is '-la': it must be a list"),
        (lambda command: command.run([]), "at least the program's name"),
        (lambda command: command.run(""), "at least the program's name"),
        (lambda command: command.run("echo", [1]), "has the argument 1, which is not a text"),
        (lambda command: command.run("echo", ["a\0b"]), "not a text without NUL"),
        (lambda command: command.run("env", env={"A=B": "x"}), "not the name of an environment variable"),
        (lambda command: command.run("env", env={"A": 1}), "not a text without NUL"),
        (lambda command: command.run("env", timeout=0), "timeout=0 is not a number of seconds from"),
        (lambda command: command.run("env", timeout=float("nan")), "timeout=nan is not"),
        (lambda command: command.run("env", timeout=-1), "timeout=-1 is not"),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused(
    box: LocalSandbox, call: Callable[[object], object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await call(box.command)  # type: ignore[misc]


async def test_a_large_argument_list_and_environment_are_run_or_refused(box: LocalSandbox) -> None:
    """More than one message to the zygote holds."""
    done = await box.command.run("/bin/sh", ["-c", "echo $# ${#BIG}", *["x" * 1000] * 1000], env={"BIG": "y" * 100_000})
    assert done.stdout == "999 100000\n"
    with pytest.raises(UsageError, match=r"could not be started.*(Argument list too long|Errno 7)"):
        await box.command.run("echo", ["x" * 200_000])


async def test_a_stopped_sandbox_runs_nothing(box: LocalSandbox) -> None:
    await box.stop()
    with pytest.raises(SandboxClosedError):
        await box.command.run("echo")
    await box.start()
    assert (await box.command.run("echo")).ok


# --- time -----------------------------------------------------------------------------------------------------------


async def test_a_program_that_takes_too_long_is_terminated(box: LocalSandbox) -> None:
    begin = time.monotonic()
    with pytest.raises(SandboxTimeoutError, match=r"/bin/sh did not end in 0\.3 s") as caught:
        await box.command.shell("echo begun; trap 'echo ended; exit 7' TERM; while :; do sleep 0.05; done", timeout=0.3)
    assert time.monotonic() - begin < 2
    execution = caught.value.execution
    assert caught.value.timeout == 0.3
    assert (execution.stdout, execution.exit_code, execution.cause) == ("begun\nended\n", 7, "timeout")


async def test_a_program_that_will_not_end_is_killed_after_a_grace(box: LocalSandbox) -> None:
    begin = time.monotonic()
    with pytest.raises(SandboxTimeoutError) as caught:
        await box.command.shell("trap '' TERM; while :; do :; done", timeout=0.2)
    assert 2 < time.monotonic() - begin < 8
    assert caught.value.execution.exit_code == -9
    assert (await box.run("1 + 1")).text == "2"


async def test_a_timeout_ends_what_the_program_has_started(box: LocalSandbox, sleep: str) -> None:
    with pytest.raises(SandboxTimeoutError):
        await box.command.shell(f"{sleep} & {sleep}; wait", timeout=0.2)
    await until_gone(sleep)


async def test_a_program_that_ends_in_time_is_not_touched(box: LocalSandbox) -> None:
    assert (await box.command.run("true", timeout=30)).ok


async def test_a_cancelled_run_ends_the_program(box: LocalSandbox, sleep: str) -> None:
    task = asyncio.create_task(box.command.shell(f"{sleep} & exec {sleep}"))
    await until(lambda: alive(sleep))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_gone(sleep)


async def test_a_run_cancelled_while_it_begins_ends_the_program(
    box: LocalSandbox, sleep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program runs already when the engine has not yet heard that it does."""
    told = commands.told

    async def never_heard_of(*args: Any) -> None:
        await told(*args)
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(commands, "told", never_heard_of)
    task = asyncio.create_task(box.command.shell(f"exec {sleep}"))
    await until(lambda: alive(sleep))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_gone(sleep)


async def test_a_run_cancelled_at_the_moment_of_its_fork_leaves_nothing(
    box: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leak check of every test finds the descriptor that nobody had."""
    fork_command, on_forked = Zygote.fork_command, Zygote._on_forked
    asking: list[asyncio.Task[object]] = []

    async def noted(self: Zygote, *args: Any) -> Forked:
        asking.extend(task for task in (asyncio.current_task(),) if task is not None)
        return await fork_command(self, *args)

    def cancelled_then(self: Zygote, number: int, pidfd: int) -> None:
        on_forked(self, number, pidfd)
        for task in asking:
            task.cancel()

    with monkeypatch.context() as patch:
        patch.setattr(Zygote, "fork_command", noted)
        patch.setattr(Zygote, "_on_forked", cancelled_then)
        with pytest.raises(SandboxClosedError, match="cancelled"):
            await box.command.run("true")
    assert len(asking) == 1
    assert (await box.command.run("true")).ok


async def test_a_limit_that_is_hit_while_a_program_begins_ends_it(
    box: LocalSandbox, engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork_command, session = Zygote.fork_command, engine._engine.sessions._sessions[box.session_id]

    async def limited(self: Zygote, *args: Any) -> Forked:
        for command in session.commands.values():
            command.stop_for(causes.disk(session.options))
        await asyncio.sleep(0)
        return await fork_command(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Zygote, "fork_command", limited)
        done = await box.command.run("sleep", ["1000"])
    assert (done.cause, done.ok) == ("disk", False)
    assert (await box.command.run("true")).ok


async def test_what_stays_behind_and_holds_the_pipes_open_does_not_hold_up_the_run(
    box: LocalSandbox, sleep: str
) -> None:
    begin = time.monotonic()
    done = await box.command.shell(f"echo begun; {sleep} & echo done")
    assert time.monotonic() - begin < 5
    assert (done.stdout, done.exit_code) == ("begun\ndone\n", 0)
    # Without a pid namespace it is ended with the command.
    assert alive(sleep) == (box.isolation == "namespaces")
    assert (await box.run("1")).text == "1"
    await box.delete()
    await until_gone(sleep)


# --- output ---------------------------------------------------------------------------------------------------------


async def test_output_beyond_the_limit_is_cut_and_said_to_be(make: Make) -> None:
    box = make(output=1)
    await box.start()
    done = await box.command.shell("head -c 3000000 /dev/zero | tr '\\0' x; echo kept >&2")
    assert len(done.stdout) == 1_000_000
    assert done.stderr == "kept\n"
    assert (done.truncated, done.cause, done.exit_code) == (("stdout",), "output", 0)


async def test_ten_megabytes_of_no_text_come_through(loud: LocalSandbox) -> None:
    done = await loud.command.run("head", ["-c", "10000000", "/dev/urandom"])
    assert done.exit_code == 0
    assert done.truncated == ()
    assert 5_000_000 < len(done.stdout) <= 10_000_000
    assert "\ufffd" in done.stdout


async def test_output_that_is_no_text_is_the_same_as_python_would_read(loud: LocalSandbox) -> None:
    await loud.run("import random; random.seed(5); open('binary', 'wb').write(random.randbytes(3_000_000))")
    done = await loud.command.run("cat", ["binary"])
    assert done.stdout == (await loud.files.read("binary")).decode("utf-8", "replace")


# --- in the background ----------------------------------------------------------------------------------------------


async def test_a_program_in_the_background_can_be_talked_with(box: LocalSandbox) -> None:
    handle = await box.command.start("cat")
    await handle.write("hello\n")
    outputs = handle.stream()
    assert await anext(outputs) == Output("stdout", "hello\n")
    await handle.write(b"again\n")
    assert await anext(outputs) == Output("stdout", "again\n")
    await handle.close_stdin()
    done = await handle.wait()
    assert (done.stdout, done.exit_code) == ("hello\nagain\n", 0)
    assert done is handle.execution


async def test_a_program_that_reads_slowly_gets_all_of_its_input(loud: LocalSandbox) -> None:
    handle = await loud.command.start(["/bin/sh", "-c", "sleep 0.2; wc -c"])
    await handle.write(b"x" * 3_000_000)
    await handle.close_stdin()
    assert (await handle.wait()).stdout.strip() == "3000000"


async def test_two_writes_at_once_both_get_through(loud: LocalSandbox) -> None:
    handle = await loud.command.start(["/bin/sh", "-c", "sleep 0.2; wc -c"])
    await asyncio.gather(handle.write(b"x" * 1_000_000), handle.write(b"y" * 1_000_000))
    await handle.close_stdin()
    assert (await handle.wait()).stdout.strip() == "2000000"


async def test_without_standard_input_a_program_reads_its_end(box: LocalSandbox) -> None:
    assert (await box.command.run("wc", ["-c"])).stdout.strip() == "0"
    handle = await box.command.start("cat", stdin=False)
    with pytest.raises(SandboxError, match="stdin=True"):
        await handle.write(b"x")
    assert (await handle.wait()).ok


async def test_writing_to_a_program_that_has_stopped_reading_is_an_error(box: LocalSandbox, sleep: str) -> None:
    handle = await box.command.start(["/bin/sh", "-c", f"exec 0<&-; echo closed; exec {sleep}"])
    assert await anext(handle.stream()) == Output("stdout", "closed\n")
    with pytest.raises(SandboxError, match="does not read its standard input"):
        await handle.write(b"x")
    await handle.kill()
    assert (await handle.wait()).exit_code == -9


async def test_a_write_that_waits_ends_when_the_program_does(box: LocalSandbox, sleep: str) -> None:
    """Also where something that it has left behind keeps the pipe open and never reads."""
    handle = await box.command.start(["/bin/sh", "-c", f"exec 3<&0; {sleep} & read line; exit 5"])
    write = asyncio.create_task(handle.write(b"first\n" + b"x" * 1_000_000))
    assert (await handle.wait()).exit_code == 5
    with pytest.raises(SandboxError):
        async with asyncio.timeout(2):
            await write


async def test_signals_reach_the_whole_group(box: LocalSandbox, sleep: str) -> None:
    for end, code in ((CommandHandle.terminate, -15), (CommandHandle.kill, -9)):
        handle = await box.command.start(["/bin/sh", "-c", f"echo up; {sleep} & {sleep}"])
        await anext(handle.stream())
        await end(handle)
        assert (await handle.wait()).exit_code == code
        await until_gone(sleep)


@pytest.mark.parametrize("seen", [True, False])
async def test_a_program_that_has_ended_can_be_ended_again(box: LocalSandbox, seen: bool) -> None:
    """Who ends it cannot know whether it has just ended."""
    handle = await box.command.start(["/bin/sh", "-c", "touch ended"])
    if seen:
        await handle.wait()
    else:
        async with asyncio.timeout(10):
            while not await box.files.exists("ended"):
                pass
    for _ in range(20):
        await handle.terminate()
        await handle.kill()
        await handle.signal("USR1")
    await handle.close_stdin()
    assert (await handle.wait()).exit_code in ({0} if seen else {0, -15, -9})
    await box.stop()
    await handle.terminate()
    await box.delete()


async def test_nothing_can_be_written_to_a_program_that_has_ended(box: LocalSandbox) -> None:
    handle = await box.command.start("true")
    await handle.wait()
    with pytest.raises(UsageError, match="has ended"):
        await handle.write(b"x")


async def test_a_standard_input_is_closed_once_and_says_so(box: LocalSandbox) -> None:
    handle = await box.command.start("cat")
    await handle.close_stdin()
    await handle.close_stdin()
    with pytest.raises(UsageError, match=r"of cat is closed: close_stdin\(\) was called"):
        await handle.write("x")
    assert (await handle.wait()).ok


@pytest.mark.parametrize("name", [15, "TERM", "SIGTERM", "term", signal.SIGTERM])
async def test_signals_have_numbers_and_names(box: LocalSandbox, sleep: str, name: int | str) -> None:
    handle = await box.command.start(sleep.split())
    await handle.signal(name)
    assert (await handle.wait()).exit_code == -15


@pytest.mark.parametrize("name", [0, -1, 4711, "NOPE", "", None, True, 1.5])
async def test_what_is_no_signal_is_refused(box: LocalSandbox, name: object) -> None:
    handle = await box.command.start("cat")
    with pytest.raises(UsageError, match="is not a signal: it must be a number such as 15"):
        await handle.signal(name)  # type: ignore[arg-type]
    await handle.kill()
    await handle.wait()


async def test_a_wait_can_be_limited(box: LocalSandbox) -> None:
    handle = await box.command.start("cat")
    with pytest.raises(SandboxTimeoutError, match=r"cat runs on after 0\.05 s"):
        await handle.wait(0.05)
    for timeout in (0, -1, float("nan"), "5"):
        with pytest.raises(UsageError, match="is not a number of seconds"):
            await handle.wait(timeout)  # type: ignore[arg-type]
    await handle.write("still here")
    await handle.close_stdin()
    assert (await handle.wait(30)).stdout == "still here"


async def test_a_stream_ends_with_the_execution(box: LocalSandbox) -> None:
    handle = await box.command.start(["/bin/sh", "-c", "echo one; exit 3"])
    *outputs, last = [event async for event in handle.stream()]
    assert "".join(output.text for output in outputs if isinstance(output, Output)) == "one\n"
    assert last is handle.execution
    assert last.exit_code == 3


async def test_waiting_twice_and_at_once_gives_the_same(box: LocalSandbox) -> None:
    handle = await box.command.start(["/bin/sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.02; done; exit 4"])
    results = await asyncio.gather(handle.wait(), handle.wait(), handle.wait())
    assert [result.exit_code for result in results] == [4, 4, 4]
    assert (await handle.wait()).stdout == "1\n2\n3\n"
    assert [output async for output in handle.stream()] == [handle.execution]


async def test_a_wait_that_is_given_up_leaves_the_program_running(box: LocalSandbox) -> None:
    handle = await box.command.start(["/bin/sh", "-c", "read line; echo $line; exit 6"])
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handle.wait(), 0.05)
    await handle.write("still here\n")
    done = await handle.wait()
    assert (done.exit_code, done.stdout) == (6, "still here\n")


async def test_waiting_can_raise_for_a_failure(box: LocalSandbox, sleep: str) -> None:
    handle = await box.command.start(["/bin/sh", "-c", "exit 2"])
    with pytest.raises(SandboxCommandError, match="ended with exit code 2"):
        await handle.wait(check=True)
    timed = await box.command.start(sleep.split(), timeout=0.1)
    with pytest.raises(SandboxTimeoutError):
        await timed.wait()


async def test_a_program_whose_handle_nobody_keeps_runs_on(box: LocalSandbox) -> None:
    await box.command.start(["/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; touch went"])
    gc.collect()
    await asyncio.sleep(0.05)
    gc.collect()
    await box.files.write("go", b"")
    async with asyncio.timeout(10):
        while not await box.files.exists("went"):
            pass


async def test_stopping_the_sandbox_ends_its_programs(make: Make, sleep: str) -> None:
    box = make()
    await box.start()
    handle = await box.command.start(sleep.split())
    await box.stop()
    async with asyncio.timeout(10):
        try:
            assert (await handle.wait()).exit_code == -9
        except SandboxError as error:
            assert "closed" in str(error)  # noqa: PT017 - either is an answer
    await box.start()
    assert not alive(sleep)


# --- beside others --------------------------------------------------------------------------------------------------


async def test_two_programs_run_at_once(box: LocalSandbox) -> None:
    """Each waits for a file that the other makes."""
    wait = "touch {0}; while [ ! -e {1} ]; do sleep 0.01; done; echo {0}"
    async with asyncio.timeout(20):
        results = await asyncio.gather(
            box.command.shell(wait.format("one", "two")), box.command.shell(wait.format("two", "one"))
        )
    assert [result.stdout for result in results] == ["one\n", "two\n"]


async def test_a_program_runs_while_a_cell_does(box: LocalSandbox) -> None:
    cell = asyncio.create_task(box.run("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n'went'"))
    assert (await box.command.run("touch", ["go"])).ok
    assert (await cell).text == "'went'"


async def test_many_programs_at_once(box: LocalSandbox) -> None:
    results = await asyncio.gather(*(box.command.run("echo", [str(n)]) for n in range(20)))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(20)]


async def test_a_cell_that_crashes_ends_the_programs_beside_it_with_an_answer(box: LocalSandbox, sleep: str) -> None:
    handle = await box.command.start(sleep.split())
    await box.run("import os; os._exit(1)", check=False)
    await box.run("1")
    async with asyncio.timeout(10):
        done = await handle.wait()
    assert done.exit_code == -9


# --- without async --------------------------------------------------------------------------------------------------


def test_the_synchronous_flavour_does_the_same(engine: EngineThread, sleep: str) -> None:
    with sandbox.sync.LocalSandbox(name="test") as box:
        assert box.command.run("echo", ["hello"]).stdout == "hello\n"
        seen: list[str] = []
        assert box.command.shell("echo a; exit 3", on_stdout=seen.append).exit_code == 3
        assert seen == ["a\n"]
        handle = box.command.start("cat")
        handle.write("hello\n")
        assert next(handle.stream()) == Output("stdout", "hello\n")
        with pytest.raises(SandboxTimeoutError):
            handle.wait(0.05)
        handle.write("more\n")
        handle.close_stdin()
        assert handle.wait().stdout == "hello\nmore\n"
        assert handle.wait(1).exit_code == handle.wait().exit_code == 0
        with pytest.raises(SandboxTimeoutError):
            box.command.run(sleep.split(), timeout=0.1)
        with pytest.raises(UsageError, match="could not be started"):
            box.command.run("no-such-program")
        box.delete()
