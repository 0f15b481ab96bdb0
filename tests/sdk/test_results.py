"""What calls return, built from the events of an answer."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox import CommandExecution, Execution
from sandbox.protocol import messages as m
from sandbox.results import Artifact, Cause, CodeException, FileInfo, Files, Result, State, Usage

FINISHED = m.ExecutionFinished(
    number=3,
    status="error",
    execution_time=0.25,
    started_at=1_700_000_000.5,
    cache_hit=True,
    isolation="namespaces",
    network="none",
    enforced=("seccomp", "landlock"),
    error=m.CodeError("ZeroDivisionError", "division by zero", "Traceback ...", 1),
    cause=m.CauseInfo("memory", "it needed more", limit=64, seen=65.5, remedy="raise memory="),
    state=m.StateInfo("restored", ("model", "x"), 2),
    artifacts=(m.ArtifactInfo("3/a.csv", "a.csv", "/run/3/a.csv", "text/csv", 2, "00", 1_700_000_001.0, 3),),
    files=m.FileChanges(created=("a.csv",), modified=("b",), deleted=("c",)),
    truncated=("stdout",),
    usage=m.UsageInfo(1.5, 4096),
    warnings=("w",),
)


def finished(*before: m.AnyEvent, **changes: Any) -> Execution:
    execution = Execution(code="1 / 0")
    for event in (
        *before,
        m.ExecutionFinished(**{f: getattr(FINISHED, f) for f in FINISHED.__struct_fields__} | changes),
    ):
        execution.add(event)
    return execution


def test_an_execution_has_everything_that_the_last_event_says() -> None:
    execution = finished()
    assert (execution.number, execution.status, execution.ok, execution.exit_code) == (3, "error", False, 1)
    assert (execution.execution_time, execution.cache_hit) == (0.25, True)
    assert execution.started_at == datetime.fromtimestamp(1_700_000_000.5, UTC)
    assert (execution.isolation, execution.network, execution.enforced) == (
        "namespaces",
        "none",
        ("seccomp", "landlock"),
    )
    assert execution.exception == CodeException("ZeroDivisionError", "division by zero", "Traceback ...", 1)
    assert str(execution.exception) == "ZeroDivisionError: division by zero"
    assert execution.usage == Usage(1.5, 4096)
    assert (execution.truncated, execution.warnings) == (("stdout",), ("w",))
    assert [artifact.id for artifact in execution.artifacts] == ["3/a.csv"]
    assert execution.files == Files(("a.csv",), ("b",), ("c",))


def test_an_execution_without_failure_is_ok() -> None:
    execution = finished(status="ok", error=None, cause=None)
    assert (execution.ok, execution.exit_code, execution.exception, execution.cause) == (True, 0, None, None)


async def test_output_is_in_order_on_both_streams() -> None:
    execution = finished(m.Output("stdout", "a"), m.Output("stderr", "b"), m.Output("stdout", "c", late=True))
    assert (execution.stdout, execution.stderr, execution.late_output) == ("ac", "b", "c")
    assert await execution.output() == execution.combined == "abc"


def test_the_last_main_result_is_the_text() -> None:
    shown = [
        m.ResultShown({"text/plain": "first"}, main=True),
        m.ResultShown({"text/plain": "second", "image/png": b"\x89PNG"}, main=True),
        m.ResultShown({"text/plain": "displayed"}),
    ]
    execution = finished(*shown)
    assert execution.text == "second"
    assert [result.main for result in execution.results] == [True, True, False]
    assert finished(shown[2]).text is None


def test_a_result_is_a_bundle() -> None:
    result = Result({"text/plain": "t", "text/html": "<b>", "image/png": b"p"}, chart={"type": "line"})
    assert (result.text, result.html, result.png) == ("t", "<b>", b"p")
    assert "text/html" in result
    assert "text/latex" not in result
    assert result["text/html"] == "<b>"
    assert result._repr_mimebundle_() == result.data
    assert (Result({}).text, Result({}).html, Result({}).png) == (None, None, None)


def test_a_cause_compares_as_its_name_and_explains_itself() -> None:
    cause = finished().cause
    assert cause == "memory"
    assert isinstance(cause, Cause)
    assert (cause.message, cause.limit, cause.seen, cause.remedy) == ("it needed more", 64, 65.5, "raise memory=")
    assert {"memory": 1}[cause] == 1
    assert Cause.of(None) is None


def test_a_state_compares_as_its_name_and_names_what_is_lost() -> None:
    state = finished().state
    assert state == "restored"
    assert (state.lost_names, state.restored_to) == (("model", "x"), 2)
    assert Execution().state == "kept"
    assert State.of(m.StateInfo()).lost_names == ()


def test_files_are_all_changed_paths() -> None:
    files = Files(("new",), ("changed",), ("gone",))
    assert list(files) == ["new", "changed", "gone"]
    assert files
    assert not Files()


async def test_an_artifact_is_a_path_whose_bytes_are_read_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    info = m.ArtifactInfo("1/a.csv", "a.csv", str(path), "text/csv", 2, "00", 0.0, 1)
    artifact = Artifact.of(info)
    assert os.fspath(artifact) == str(artifact) == str(path)
    with pytest.raises(FileNotFoundError):
        artifact.read()
    path.write_bytes(b"hi")
    assert artifact.read() == await artifact.aread() == b"hi"
    assert Path(artifact) == path
    assert artifact.as_dict() == {
        "id": "1/a.csv", "name": "a.csv", "path": str(path), "mime": "text/csv", "size": 2, "sha256": "00",
        "created_at": "1970-01-01T00:00:00+00:00", "execution": 1,
    }  # fmt: skip


def test_a_command_has_everything_that_the_last_event_says() -> None:
    command = CommandExecution(argv=("ls",))
    assert (command.exit_code, command.ok) == (None, False)
    command.add(m.Output("stdout", "x"))
    command.add(m.CommandFinished(-9, 0.5, m.CauseInfo("timeout", "late"), ("stderr",), m.FileChanges(("a",))))
    assert (command.stdout, command.exit_code, command.ok, command.execution_time) == ("x", -9, False, 0.5)
    assert (command.cause, command.truncated, list(command.files)) == ("timeout", ("stderr",), ["a"])


@pytest.mark.parametrize(("first", "last"), [(-62135596800.0, 253402300799.0)])
def test_every_time_that_the_engine_sends_is_a_datetime(first: float, last: float) -> None:
    assert FileInfo.of(m.FileEntry("a", "file", 0, 0o644, first)).modified_at.year == 1
    assert FileInfo.of(m.FileEntry("a", "file", 0, 0o644, last)).modified_at.year == 9999


def test_file_info_knows_its_name() -> None:
    info = FileInfo.of(m.FileEntry("a/b", "directory", 0, 0o755, 0.0))
    assert (info.name, info.is_dir) == ("b", True)
