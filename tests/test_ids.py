"""A session's id names directories on the host: nothing gets through that could name another place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sandbox.sync
from sandbox import LocalSandbox, UsageError
from sandbox.core.execution_context import PersistentExecutionContext
from sandbox.engine.thread import EngineThread
from sandbox.ids import checked_session_id
from sandbox.protocol import messages as m
from sandbox.sdk.blocking import Blocking
from sandbox.sdk.convert import session_options

REFUSED: list[object] = [
    "",
    ".",
    "..",
    ".hidden",
    "-x",
    "a/b",
    "../../../x",
    "/x",
    "x\0y",
    "x\n",
    "a b",
    "é",
    "a" * 129,
    "a" * 5000,
    5,
]


@pytest.mark.parametrize("value", ["a", "A.b_c-9", "_", "a" * 128, "0123456789abcdef"])
def test_an_ordinary_id_is_taken(value: str) -> None:
    assert checked_session_id(value) == value


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: repr(value)[:20])
def test_every_way_to_name_a_session_refuses_what_cannot_be_an_id(value: object) -> None:
    for make in (LocalSandbox, sandbox.sync.LocalSandbox, PersistentExecutionContext):
        with pytest.raises(UsageError, match="cannot be a session's id") as caught:
            make(session_id=value)  # type: ignore[arg-type]
        assert len(caught.value.message) < 250


@pytest.mark.parametrize("value", [value for value in REFUSED if isinstance(value, str)], ids=lambda value: value[:20])
def test_the_engine_does_not_rely_on_its_callers_for_that(value: str, engine: EngineThread) -> None:
    run = Path(os.environ["SANDBOX_HOME"])
    before = {path for path in run.rglob("*") if path.is_dir() and "workspaces" not in path.parts}
    with pytest.raises(UsageError, match="cannot be a session's id"):
        Blocking(engine).ask(m.OpenSession(session_options(LocalSandbox().options), value), m.SessionOpened)
    assert {path for path in run.rglob("*") if path.is_dir() and "workspaces" not in path.parts} == before


async def test_a_fork_cannot_be_given_another_kind_of_id(box: LocalSandbox, engine: EngineThread) -> None:
    with pytest.raises(UsageError, match="cannot be a session's id"):
        Blocking(engine).ask(m.Fork(box.session_id, ("../x",)), m.Done)
