"""What an execution prints, shows and raises, as lines of JSON."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.protocol import messages as m
from sandbox.server.e2b import charts

_NAMES = {
    "text/plain": "text", "text/html": "html", "text/markdown": "markdown", "image/svg+xml": "svg", "image/png": "png",
    "image/jpeg": "jpeg", "application/pdf": "pdf", "text/latex": "latex", "application/json": "json",
    "application/javascript": "javascript",
}  # fmt: skip
# How to name what a limit or an end has done to an execution, where no error of the code's own says it.
_ENDED = {"timeout": "TimeoutError", "memory": "MemoryError", "interrupted": "KeyboardInterrupt"}


def lines(event: m.AnyEvent) -> Iterator[dict[str, Any]]:
    """What an event is to a client."""
    match event:
        case m.Output():
            yield {"type": event.stream, "text": event.text, "timestamp": time.time_ns()}
        case m.ResultShown():
            yield {"type": "result", "is_main_result": event.main, **_shown(event)}
        case m.ExecutionFinished():
            yield from _finished(event)
        case m.Failed():
            yield {"type": "error", "name": "SandboxError", "value": event.message, "traceback": event.message}
            yield {"type": "unexpected_end_of_execution"}


def together(events: Iterable[m.AnyEvent]) -> Iterator[m.AnyEvent]:
    """The same events, with what was printed to one stream in a row as one."""
    open_: m.Output | None = None
    for event in events:
        if isinstance(event, m.Output) and open_ is not None and open_.stream == event.stream:
            open_ = m.Output(event.stream, open_.text + event.text)
            continue
        if open_ is not None:
            yield open_
        open_ = event if isinstance(event, m.Output) else None
        if open_ is None:
            yield event
    if open_ is not None:
        yield open_


def _finished(event: m.ExecutionFinished) -> Iterator[dict[str, Any]]:
    if event.error is not None:
        error = event.error
        yield {"type": "error", "name": error.type, "value": error.message, "traceback": error.traceback}
    elif event.status != "ok" and event.cause is not None:
        name = _ENDED.get(event.cause.kind, "ExecutionEnded")
        text = f"{event.cause.message} {event.cause.remedy}".strip()
        yield {"type": "error", "name": name, "value": text, "traceback": text}
    yield {"type": "end_of_execution"}


def _shown(event: m.ResultShown) -> dict[str, Any]:
    found: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for mime, value in event.data.items():
        carried = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        if mime in _NAMES:
            found[_NAMES[mime]] = carried
        else:
            extra[mime] = carried
    if "text" in found:
        found["text"] = _unquoted(found["text"])
    if event.chart is not None:
        found["chart"] = charts.translated(event.chart)
    if extra:
        found["extra"] = extra
    return found


def _unquoted(text: str) -> str:
    """A text without the quotes of its repr, as clients expect it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text
