"""One request to one sandbox, as the parts of this API answer it."""

from __future__ import annotations

import time
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec

from sandbox.errors import SandboxError, SandboxFileError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b.boxes import Box, Boxes
from sandbox.server.gate import Gate
from sandbox.server.http import Call, last_of
from sandbox.server.recordings import Recording

Event = TypeVar("Event", bound=m.LastEvent)
Shape = TypeVar("Shape")
_RESUMED_SECONDS = 300.0
# What the engine says of a sandbox that is stopped or gone.
_GONE = {"closed", "session_not_found"}


class Gone(SandboxError):
    """The sandbox has ended, is paused, or has never been: clients know it by the status and these words."""

    code = "session_not_found"

    def __init__(self, sandbox: str) -> None:
        super().__init__(f"The sandbox {sandbox[:100]} was not found", {"status": 502})


class Unsupported(UsageError):
    """There is no counterpart here."""

    def __init__(self, what: str, status: int = 501) -> None:
        super().__init__(f"{what}: see docs/compatibility.md of this server", {"status": status})


class Visit:
    """A request of a caller who has a key of the sandbox's owner."""

    def __init__(self, call: Call, gate: Gate, boxes: Boxes, box: Box) -> None:
        self.call, self.gate, self.boxes, self.box = call, gate, boxes, box

    @property
    def id(self) -> str:
        """The sandbox's id."""
        return self.box.id

    def begin(self, request: m.Request) -> Recording:
        """Begin to carry out a request."""
        return self.gate.begin(self.call.caller, request)

    async def ask(self, request: m.Request, answer: type[Event]) -> Event:
        """Carry out a request and return the last event. Raises SandboxError; Gone for a sandbox that has ended."""
        try:
            last = await last_of(self.begin(request))
        except SandboxFileError:
            raise
        except SandboxError as error:
            raise Gone(self.id) if error.code in _GONE else error from error
        assert isinstance(last, answer)
        return last

    async def said(self, shape: type[Shape]) -> Shape:
        """The JSON of the request. Raises UsageError."""
        return decoded(await self.call.body(), shape)

    async def ready(self) -> None:
        """Bring it back if it is paused and a request may do that. Raises Gone."""
        if self.boxes.running(self.box):
            return
        if not self.box.resumes:
            raise Gone(self.id)
        await resume(self, max(self.box.ends, time.time() + _RESUMED_SECONDS))


async def resume(visit: Visit, ends: float) -> None:
    """Start a sandbox that is paused, to live until `ends`. Raises SandboxError."""
    box, entry = visit.box, visit.boxes.entry(visit.box)
    if entry is None:
        raise Gone(box.id)
    if not entry.open:
        await visit.ask(m.OpenSession(entry.options, box.id), m.SessionOpened)
    box.ends = ends
    visit.boxes.keep(box)


def query_of(call: Call) -> dict[str, str]:
    """The query's parameters, the last of each name."""
    found = parse_qs(call.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in found.items()}


def decoded(body: bytes, shape: type[Shape]) -> Shape:
    """Raises UsageError for what is not JSON of this shape. Unknown fields are passed over: clients add some."""
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not a valid request: {error}") from error
