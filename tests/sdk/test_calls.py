"""What can be asked of a sandbox, and when: arguments, the time before it is started and after it is stopped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

import sandbox.sync
from sandbox import (
    Environment,
    LocalSandbox,
    NodeSandbox,
    PythonSandbox,
    SandboxClosedError,
    SandboxExecutionError,
    SandboxInterruptedError,
    SandboxOptions,
    UsageError,
)
from sandbox.engine.thread import EngineThread
from sandbox.results import ExecutionData, Result

Make = Callable[..., LocalSandbox]
FIGURE = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show(); 'shown'"


# --- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, -1, -1.0, float("nan"), float("inf"), 1e-9, "5", True])
async def test_a_timeout_is_checked_as_the_option_is(box: LocalSandbox, timeout: Any) -> None:
    with pytest.raises(UsageError, match="is not a number of seconds from"):
        await box.run("1", timeout=timeout)
    with pytest.raises(UsageError, match="is not a number of seconds from"):
        _ = [event async for event in box.stream("1", timeout=timeout)]
    assert box.get_execution_history() == []


async def test_a_timeout_may_be_a_whole_number_or_none(box: LocalSandbox) -> None:
    assert (await box.run("1", timeout=20)).text == (await box.run("1", timeout=None)).text == "1"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda box: box.run(5), "code is 5, not a text"),
        (lambda box: box.run(None), "code is None, not a text"),
        (lambda box: box.run("x = '\ud800'"), r"code cannot be encoded as UTF-8: it has '\\ud800' at 5"),
        (lambda box: box.run("1", cache_key=5), "cache_key is 5, not a text"),
        (lambda box: box.complete(5), "code is 5, not a text"),
        (lambda box: box.complete("pri", "x"), "cursor='x' is not a whole number"),
        (lambda box: box.complete("pri", -1), "cursor=-1 is not a whole number"),
        (lambda box: box.get_execution_history(limit="a"), "limit='a' is not a whole number"),
        (lambda box: box.get_execution_history(limit=-1), "limit=-1 is not a whole number"),
        (lambda box: box.command.run("ls", cwd=5), "cwd is 5, not a path"),
    ],
)
async def test_an_argument_of_another_kind_is_named(
    box: LocalSandbox, call: Callable[[LocalSandbox], Any], message: str
) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        await call(box)


def test_the_options_may_come_as_one_object() -> None:
    options = SandboxOptions.builder().name("report").memory(256).env("A", "b").build()
    for make in (LocalSandbox, LocalSandbox.create, PythonSandbox.create_local, sandbox.sync.LocalSandbox):
        assert make(options).options == options
        assert make(options, memory=128).options == options.but(memory=128)
        assert make("label").options == SandboxOptions(name="label")


def test_a_sandbox_without_an_engine_says_what_to_use() -> None:
    for call in (PythonSandbox, lambda: PythonSandbox("name"), sandbox.sync.PythonSandbox):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"create_local\(\.\.\.\) or create_remote\(\.\.\.\)"):
            call()
    with pytest.raises(UsageError, match=r"use NodeSandbox\.create_local"):
        NodeSandbox()


def test_an_asynchronous_sandbox_says_so_to_with() -> None:
    with pytest.raises(UsageError, match=r"asynchronous: use `async with`, or sandbox\.sync\.LocalSandbox"):
        LocalSandbox().__enter__()


async def test_a_synchronous_sandbox_says_so_to_async_with_and_await() -> None:
    with pytest.raises(UsageError, match=r"synchronous: use `with`, or sandbox\.LocalSandbox"):
        await sandbox.sync.LocalSandbox().__aenter__()
    with pytest.raises(UsageError, match=r"synchronous: use `with`, or sandbox\.LocalSandbox"):
        await sandbox.sync.LocalSandbox()


# --- before, after --------------------------------------------------------------------------------------------------

LIVE: list[Callable[[LocalSandbox], Any]] = [
    lambda box: box.run("1"),
    lambda box: box.interrupt(),
    lambda box: box.complete("pri"),
    lambda box: box.command.run("ls"),
    lambda box: box.files.write("a", "x"),
    lambda box: box.files.read("a"),
    lambda box: box.files.list(),
    lambda box: box.metrics.all(),
]


@pytest.mark.parametrize("call", [*LIVE, lambda box: box.session_id, lambda box: box.delete()])
async def test_before_the_start_everything_says_so(call: Callable[[LocalSandbox], Any]) -> None:
    with pytest.raises(SandboxClosedError, match="the sandbox is not started: use it with `async with`"):
        await call(LocalSandbox())


@pytest.mark.parametrize("persist", [True, False])
async def test_after_the_stop_the_past_is_still_there(make: Make, persist: bool) -> None:
    async with make(name="mine", persist=persist) as box:
        await box.run(FIGURE)
        await box.run("1")
        before = box.session_id, box.get_performance_stats(), box.get_execution_history()
    assert (box.session_id, box.get_performance_stats(), box.get_execution_history()) == before
    assert box.name == "mine"
    (figure,) = box.list_artifacts()
    assert figure.read().startswith(b"\x89PNG")
    assert figure.path.is_relative_to(box.artifacts_dir)
    await box.delete()


async def test_artifacts_of_earlier_times_are_there_after_the_stop_too(make: Make) -> None:
    async with make() as first:
        await first.run(FIGURE)
    second = make(session_id=first.session_id)
    async with second:
        await second.run("1")
    (figure,) = second.list_artifacts()
    assert figure.read().startswith(b"\x89PNG")
    assert len(second.get_execution_history()) == 2
    await second.delete()


@pytest.mark.parametrize("call", LIVE)
async def test_after_the_stop_nothing_runs(make: Make, call: Callable[[LocalSandbox], Any]) -> None:
    async with make() as box:
        await box.run("x = 1")
    with pytest.raises(SandboxClosedError, match=r"the sandbox is stopped: start\(\) goes on with its session"):
        await call(box)
    async with box:
        assert (await box.run("x")).text == "1"
    await box.delete()


async def test_the_engine_refuses_closed_sessions_itself(make: Make) -> None:
    """Another holder of the same session may have stopped it."""
    one = await make()
    other = await make(session_id=one.session_id)
    await other.stop()
    for call in LIVE:
        with pytest.raises(SandboxClosedError, match="is closed: start it again"):
            await call(one)
    assert one.get_execution_history() == []
    await one.stop()
    await one.delete()


async def test_a_stopped_session_is_deleted_from_the_store_too(make: Make) -> None:
    async with make() as box:
        await box.run("x = 1")
        session = box.session_id
    await box.delete()
    async with make(session_id=session) as again:
        assert again.get_execution_history() == []
        assert (await again.run("'x' in dir()")).text == "False"
    await again.delete()


@pytest.mark.parametrize("how", ["delete", "cleanup_session"])
@pytest.mark.parametrize("stopped", [True, False])
async def test_what_was_deleted_does_not_come_back(make: Make, how: str, stopped: bool) -> None:
    box = await make()
    if stopped:
        await box.stop()
    if how == "delete":
        await box.delete()
    else:
        box.cleanup_session()
    calls: list[Callable[[LocalSandbox], Any]] = [
        *LIVE, lambda box: box.start(), lambda box: box.delete(), lambda box: box.session_id,
        lambda box: box.list_artifacts(),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(SandboxClosedError, match="session was deleted: make another sandbox"):
            await call(box)
    await box.stop()


# --- how it reads ---------------------------------------------------------------------------------------------------


async def test_a_sandbox_says_who_it_is(make: Make) -> None:
    box = make(name="mine")
    assert repr(box) == "<LocalSandbox 'mine', not started>"
    await box.start()
    assert repr(box) == f"<LocalSandbox 'mine' of session {box.session_id}, started>"
    await box.stop()
    assert repr(box) == f"<LocalSandbox 'mine' of session {box.session_id}, stopped>"
    await box.delete()
    assert repr(box) == "<LocalSandbox 'mine', deleted>"


async def test_an_execution_prints_in_a_line(box: LocalSandbox) -> None:
    execution = await box.run(f"print('y' * 5000)\n{FIGURE}")
    text = repr(execution)
    assert re.match(r"Execution\(1, ok, \d+\.\d+ s, stdout='yyy", text)
    assert "(5001 characters)" in text
    assert "image/png: " in text
    assert "artifacts=[figure-1.png]" in text
    assert len(text) < 600
    failed = await box.run("1 / 0", check=False)
    assert "exception='ZeroDivisionError: division by zero'" in repr(failed)
    assert "\n" not in repr(failed)


def test_a_result_prints_sizes_instead_of_images() -> None:
    result = Result({"text/plain": "5", "image/png": b"\x89" * 9000, "text/html": "<p>" * 100, "x/json": {}}, main=True)
    assert repr(result) == (
        "Result(text/plain: '5', image/png: 9000 bytes, "
        f"text/html: {'<p>' * 20!r}... (300 characters), x/json: dict, main)"
    )
    many = ExecutionData(results=[result] * 100, artifacts=[])
    assert repr(many).count("Result(") == 3


async def test_an_interrupted_run_says_so(box: LocalSandbox) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(box.run("print('up')\nwhile True: pass", on_stdout=lambda _text: begun.set()))
    await begun.wait()
    await box.interrupt()
    with pytest.raises(SandboxInterruptedError, match=r"^the code was interrupted: KeyboardInterrupt"):
        await task


async def test_a_stream_can_raise_at_its_end(box: LocalSandbox) -> None:
    seen: list[Any] = []

    async def collect() -> None:
        async for event in box.stream("print('a')\n1 / 0", check=True):
            seen.append(event)  # noqa: PERF401 - what came before it raised

    with pytest.raises(SandboxExecutionError, match="division by zero") as caught:
        await collect()
    assert caught.value.execution is seen[-1]
    *_, last = [event async for event in box.stream("1 / 0", check=False)]
    assert isinstance(last, ExecutionData)
    assert last.status == "error"


def test_the_synchronous_flavour_has_a_past_too(engine: EngineThread) -> None:
    with sandbox.sync.LocalSandbox() as box:
        with pytest.raises(UsageError, match="timeout=-1 "):
            box.run("1", timeout=-1)
        box.run("1")
    assert [record["number"] for record in box.get_execution_history()] == [1]
    with pytest.raises(SandboxClosedError, match="is stopped"):
        box.files.list()
    box.delete()
    with pytest.raises(SandboxClosedError, match="was deleted"):
        box.start()


async def test_an_import_that_was_to_be_warm_and_failed_is_told_of_once() -> None:
    engine = EngineThread(parked=0)
    warnings: tuple[str, ...] = ()
    async with LocalSandbox(engine=engine, environment=Environment(warm=("no_such_package",))) as box:
        async with asyncio.timeout(20):
            while not warnings:  # the zygote imports while nobody waits for it
                warnings = (await box.run("1")).warnings
        reason = "ModuleNotFoundError: No module named 'no_such_package'"
        assert warnings == (f"no_such_package could not be imported ahead of time: {reason}",)
        assert (await box.run("1")).warnings == ()
        await box.delete()
    await asyncio.to_thread(engine.close)
