"""The history as a notebook: cells, what they printed and showed, images.

Knows outputs of these forms: `{"stream": "stdout" or "stderr", "text": text}`, `{"data": {MIME type: value}, "main":
whether it is the value of the last expression}` with images in base64. What has another form is left out. What was
raised is the execution's error type, with `error` (the message) and `traceback` of its info.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from sandbox.store import history, sessions
from sandbox.store.database import Database
from sandbox.store.history import ExecutionRecord
from sandbox.store.parts import Reader

_PAGE = 500
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_NAMES = {
    "python": ("Python 3", "python3"),
    "javascript": ("JavaScript (Node.js)", "javascript"),
    "typescript": ("TypeScript", "tslab"),
}


def write(database: Database, reader: Reader, session: int, number: int, language: str = "python") -> bytes:
    """The executions that led to the checkpoint `number`, the oldest first, as nbformat 4.5."""
    skipped = sessions.elsewhere(database, session, number)
    cells: list[dict[str, Any]] = []
    before: int | None = None
    while page := history.page(database, session, _PAGE, before):
        before = page[-1].number
        for record in page:
            if record.number not in skipped:
                outputs = history.outputs(database, reader, session, record.number) if record.has_outputs else []
                cells.append(_cell(record, outputs))
    cells.reverse()
    notebook = {"cells": cells, "metadata": _metadata(language), "nbformat": 4, "nbformat_minor": 5}
    return msgspec.json.format(msgspec.json.encode(notebook), indent=1)


def _metadata(language: str) -> dict[str, Any]:
    shown, name = _NAMES.get(language, (language, language))
    return {
        "kernelspec": {"display_name": shown, "language": language, "name": name},
        "language_info": {"name": language},
    }


def _cell(record: ExecutionRecord, outputs: Sequence[Any]) -> dict[str, Any]:
    shown = [made for output in outputs if (made := _output(record.number, output)) is not None]
    if record.error_type is not None:
        shown.append(_error(record.error_type, record.info))
    return {
        "cell_type": "code",
        "execution_count": record.number,
        "id": f"execution-{record.number}",
        "metadata": {},
        "outputs": shown,
        "source": record.code.splitlines(keepends=True),
    }


def _output(number: int, output: Any) -> dict[str, Any] | None:
    match output:
        case {"stream": "stdout" | "stderr" as name, "text": str(text)}:
            return {"output_type": "stream", "name": name, "text": text.splitlines(keepends=True)}
        case {"data": dict(data), "main": True}:
            return {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": number}
        case {"data": dict(data)}:
            return {"output_type": "display_data", "data": data, "metadata": {}}
    return None


def _error(kind: str, info: dict[str, Any]) -> dict[str, Any]:
    message, traceback = info.get("error") or "", _COLOR.sub("", info.get("traceback") or "")
    return {
        "output_type": "error",
        "ename": kind,
        "evalue": message,
        "traceback": traceback.splitlines() or [f"{kind}: {message}"],
    }
