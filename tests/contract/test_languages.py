"""What every language is held to, whatever carries it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.languages import Language

from sandbox import SandboxCrashedError, SandboxExecutionError, SandboxInterruptedError, SandboxTimeoutError, UsageError

pytestmark = pytest.mark.usefixtures("node")


@pytest.fixture
async def box(open_box: Open, language: Language) -> Any:
    """A started sandbox of the flavour under test."""
    return await open_box(name="languages", language=language.name)


async def test_variables_live_between_executions(box: Any, language: Language) -> None:
    await box.run(language.assign)
    assert (await box.run(language.read)).text == "42"


async def test_the_value_of_the_last_expression_is_the_result(box: Any, language: Language) -> None:
    execution = await box.run(language.listed)
    assert execution.text.replace(" ", "") == "[1,2]"
    assert [result.main for result in execution.results] == [True]
    assert (await box.run(language.nothing)).results == []


async def test_streams_are_apart_and_in_order(box: Any, language: Language) -> None:
    execution = await box.run(language.prints)
    assert (execution.stdout, execution.stderr, execution.combined) == ("a\nc\n", "b\n", "a\nb\nc\n")


async def test_an_error_has_its_type_its_place_and_no_frame_of_ours(box: Any, language: Language) -> None:
    with pytest.raises(SandboxExecutionError) as caught:
        await box.run(language.raises)
    assert caught.value.error_type == language.error_type
    assert "no such thing" in str(caught.value)
    assert "no such thing" in caught.value.traceback
    assert "2" in caught.value.traceback
    assert "inside" not in caught.value.traceback
    assert "node:" not in caught.value.traceback


async def test_what_does_not_parse_is_shown(box: Any, language: Language) -> None:
    execution = await box.run(language.does_not_parse, check=False)
    assert execution.exception.error_type == "SyntaxError"
    assert "^" in execution.exception.traceback
    await box.run(language.assign)


async def test_top_level_await_works(box: Any, language: Language) -> None:
    assert (await box.run(language.waits)).text == "'done'"


async def test_exit_ends_the_cell_and_not_the_session(box: Any, language: Language) -> None:
    await box.run(language.assign)
    execution = await box.run(language.exits, check=False)
    assert (execution.status, execution.exception.exit_code) == ("error", 3)
    assert (await box.run(language.read)).text == "42"


@pytest.mark.parametrize("code", ["stuck", "asleep"])
async def test_a_timeout_keeps_the_variables(box: Any, language: Language, code: str) -> None:
    await box.run(language.assign)
    with pytest.raises(SandboxTimeoutError) as caught:
        await box.run(getattr(language, code), timeout=0.5)
    assert str(caught.value.execution.state) == "kept"
    assert (await box.run(language.read)).text == "42"


async def test_an_interrupt_keeps_the_variables(box: Any, language: Language) -> None:
    await box.run(language.assign)
    running = asyncio.create_task(box.run(language.prints + "\n" + language.asleep))
    done: set[Any] = set()
    while not done:  # an interrupt before it runs is for nobody
        await box.interrupt()
        done, _ = await asyncio.wait([running], timeout=0.05)
    with pytest.raises(SandboxInterruptedError):
        await running
    assert (await box.run(language.read)).text == "42"


async def test_a_death_is_a_crash_and_its_session_goes_on_from_before(box: Any, language: Language) -> None:
    await box.run(language.assign)
    with pytest.raises(SandboxCrashedError) as caught:
        await box.run(language.dies)
    assert str(caught.value.execution.cause) == "crashed"
    assert str(caught.value.execution.state) == "restored"
    assert (await box.run(language.read)).text == "42"


async def test_too_much_memory_in_one_piece_is_an_error_that_keeps_the_variables(box: Any, language: Language) -> None:
    await box.run(language.assign)
    execution = await box.run(language.too_much_memory, check=False)
    assert (execution.status, str(execution.cause), str(execution.state)) == ("error", "memory", "kept")
    assert (await box.run(language.read)).text == "42"


async def test_output_is_capped(open_box: Open, language: Language) -> None:
    box = await open_box(language=language.name, output=1)
    execution = await box.run(language.floods)
    assert execution.truncated == ("stdout",)
    assert len(execution.stdout) == 1_000_000


async def test_nothing_outside_can_be_written(box: Any, language: Language) -> None:
    execution = await box.run(language.outside, check=False)
    assert str(execution.cause) == "denied"


async def test_there_is_no_network_and_the_cause_says_so(box: Any, language: Language) -> None:
    execution = await box.run(language.connects, check=False)
    assert str(execution.cause) == "denied"


async def test_files_artifacts_commands_and_metrics_are_the_same(box: Any, language: Language) -> None:
    execution = await box.run(language.writes_file)
    assert execution.files.created == ("made.txt",)
    assert await box.files.read("made.txt") == b"hello"
    assert (await (await box.command.run("cat", ["made.txt"])).output()).strip() == "hello"
    execution = await box.run(language.artifact)
    assert [artifact.name for artifact in execution.artifacts] == ["out.txt"]
    metrics = await box.metrics.all()
    assert metrics["memory_usage"] > 0
    assert metrics["executions"] == 2


async def test_the_environment_is_the_option_s(open_box: Open, language: Language) -> None:
    box = await open_box(language=language.name, env={"FOO": "yes"})
    assert (await box.run(language.environment)).text == "'yes'"


async def test_a_value_may_show_itself(box: Any, language: Language) -> None:
    execution = await box.run(language.html)
    assert execution.results[0].data["text/html"] == "<b>x</b>"
    assert execution.results[0].data["text/plain"]


# --- state -----------------------------------------------------------------------------------------------------------


async def reopened(box: Any) -> None:
    """Its worker ends, and another one has what was stored."""
    await box.stop()
    await box.start()


async def test_definitions_and_their_objects_survive(box: Any, language: Language) -> None:
    await box.run(language.assign)
    await box.run(language.defines)
    await reopened(box)
    assert (await box.run(language.uses)).text == "90"


async def test_shared_objects_stay_shared(box: Any, language: Language) -> None:
    await box.run(language.shares)
    await reopened(box)
    await box.run(language.pushes)
    await reopened(box)
    assert (await box.run(language.shared)).text.lower() == "true"


async def test_what_cannot_be_kept_is_named_at_once_and_says_so_when_it_is_used(box: Any, language: Language) -> None:
    execution = await box.run(language.cannot_be_kept)
    assert execution.state.lost_names == ("kept_out",)
    await reopened(box)
    execution = await box.run(language.uses_lost, check=False)
    assert execution.exception.error_type == "StateLost"
    assert "kept_out" in execution.exception.message


async def test_a_large_value_survives_with_its_changes(box: Any, language: Language) -> None:
    await box.run(language.large)
    await box.run(language.changes_large)
    await reopened(box)
    assert (await box.run(language.reads_large)).text == "9"


async def test_a_roll_back_takes_variables_and_files_back(box: Any, language: Language) -> None:
    await box.run(language.assign)
    await box.run(language.assign.replace("41", "5"))
    await box.run(language.writes_file)
    await box.rollback(1)
    assert (await box.run(language.read)).text == "42"
    assert not await box.files.exists("made.txt")


async def test_a_fork_goes_on_by_itself(box: Any, language: Language) -> None:
    await box.run(language.assign)
    (other,) = await box.fork()
    try:
        await box.run(language.assign.replace("41", "5"))
        forked = other if not hasattr(other, "_inner") else other._inner
        run = forked.run(language.read)
        assert (await run if asyncio.iscoroutine(run) else run).text == "42"
    finally:
        deleted = other.delete()
        with contextlib.suppress(TypeError):
            await deleted


async def test_variables_are_listed_with_their_types(box: Any, language: Language) -> None:
    await box.run(language.assign)
    listed = box.variables()
    found = await listed if asyncio.iscoroutine(listed) else listed
    assert [(one.name, one.text) for one in found] == [("x", "41")]


async def test_a_session_is_not_opened_in_another_language(box: Any, open_box: Open, language: Language) -> None:
    other = "javascript" if language.name == "python" else "python"
    with pytest.raises(UsageError, match=language.name):
        await box.run("1", language=other)
    session = box.session_id
    await box.run(language.assign)
    with pytest.raises(UsageError, match=f"is in {language.name}"):
        await open_box(language=other, session_id=session)
    await box.stop()
    with pytest.raises(UsageError, match=f"is in {language.name}"):
        await open_box(language=other, session_id=session)
    await box.start()  # to be deleted


async def test_a_stored_session_knows_its_language(box: Any, open_box: Open, language: Language) -> None:
    await box.run(language.assign)
    await box.stop()
    again = await open_box(session_id=box.session_id)
    assert (await again.run(language.read)).text == "42"
