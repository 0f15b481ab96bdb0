"""A notebook of a session has its cells in order, with what they printed, showed and raised."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from sandbox.store.history import ExecutionRecord
from sandbox.store.session import StoredSession
from sandbox.store.store import Store

from .conftest import OWNER

PNG = base64.b64encode(b"\x89PNG\r\n").decode()


def run(session: StoredSession, code: str, outputs: list[Any], **info: Any) -> None:
    number = session.last_execution + 1
    raised = info.pop("raised", None)
    record = ExecutionRecord(number=number, code=code, status="ok", started=time.time(), error_type=raised, info=info)
    session.commit(execution=record, outputs=outputs)


def notebook(store: Store, checkpoint: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.notebook("one", owner=OWNER, checkpoint=checkpoint))
    return found


def test_an_empty_session_is_an_empty_notebook(store: Store, session: StoredSession) -> None:
    assert notebook(store)["cells"] == []


def test_cells_have_what_they_printed_and_showed(store: Store, session: StoredSession) -> None:
    data = {"text/plain": "1", "image/png": PNG, "application/json": {"a": [1]}}
    run(
        session,
        "print('a')\nfigure()\n1",
        [{"stream": "stdout", "text": "a\nb"}, {"data": data, "main": False}, {"data": data, "main": True}, {"new": 1}],
    )
    run(session, "1 / 0", [], raised="ZeroDivisionError", error="by zero", traceback="T\n\x1b[31mU")
    found = notebook(store)
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    first, second = found["cells"]
    assert (first["source"], first["execution_count"]) == (["print('a')\n", "figure()\n", "1"], 1)
    assert first["outputs"] == [
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]},
        {"output_type": "display_data", "data": data, "metadata": {}},
        {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 1},
    ]
    assert second["outputs"] == [
        {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "by zero", "traceback": ["T", "U"]}
    ]
    assert first["id"] != second["id"]


def test_only_what_led_to_the_checkpoint_is_in_it(store: Store, session: StoredSession) -> None:
    for code in ("one", "two"):
        run(session, code, [])
    session.rollback(1)
    run(session, "three", [])
    assert [cell["source"] for cell in notebook(store)["cells"]] == [["one"], ["three"]]
    assert [cell["source"] for cell in notebook(store, 2)["cells"]] == [["one"], ["two"]]


def test_a_long_history_is_all_there(store: Store, session: StoredSession) -> None:
    for number in range(1, 602):
        run(session, str(number), [])
    cells = notebook(store)["cells"]
    assert [cell["source"] for cell in cells] == [[str(number)] for number in range(1, 602)]
