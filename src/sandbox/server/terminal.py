"""`/v1/sandboxes/ID/terminal`: a terminal as a WebSocket, for what is not our SDK.

Binary messages are what is typed and printed. Text is JSON: `{"cols": 80, "rows": 24}` from the client gives another
size; `{"exit_code": 0}` from the server is the last message. The query has `cols`, `rows`, and `argv` once for each
argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from sandbox.errors import SandboxAccessError, SandboxError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.audit import Caller
from sandbox.server.gate import Gate
from sandbox.server.http import last_of
from sandbox.server.recordings import Recording

_PATH = re.compile(r"/v1/sandboxes/([^/]{1,200})/terminal")
_SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash || exec sh")
_STUCK_SECONDS = 120.0
_LOOK_SECONDS = 1.0  # whether the key is still in force
_DONE, _BAD_DATA, _FAILED = 1000, 1007, 1011


class Size(msgspec.Struct, forbid_unknown_fields=True):
    """What a client says in text."""

    cols: int
    rows: int


class Gone(Exception):
    """The client has closed the connection."""


def session_of(path: str) -> str | None:
    """The sandbox that a path is the terminal of."""
    match = _PATH.fullmatch(path)
    return None if match is None else match[1]


class Socket:
    """One connection. `refuse` it, or `serve` it to its end."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self._receive, self._send = scope, receive, send

    async def refuse(self, status: int, error: SandboxError, request_id: str) -> None:
        """Say why there is no terminal, in place of opening a WebSocket."""
        said = {"code": error.code, "message": error.message, "details": error.details, "request_id": request_id}
        body = {"error": said}
        headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await self._send({"type": "websocket.http.response.body", "body": msgspec.json.encode(body)})

    async def serve(self, gate: Gate, caller: Caller, session: str, may: Callable[[], bool]) -> None:
        """Start a terminal and be its two ends, for as long as the caller `may`.

        Raises SandboxError where none could be started.
        """
        await self._receive()  # that somebody wants to connect
        started = await last_of(gate.begin(caller, _asked(self.scope, session)))
        assert isinstance(started, m.TerminalStarted)
        try:
            headers = [(b"x-request-id", caller.request_id.encode())]
            await self._send({"type": "websocket.accept", "headers": headers})
            await self._carry(gate, caller, session, started.command, may)
        except SandboxError as error:
            await self._send({"type": "websocket.close", "code": _FAILED, "reason": error.message[:100]})
        except TimeoutError:
            await self._send({"type": "websocket.close", "code": _FAILED, "reason": "what is printed is not taken"})
        finally:
            with contextlib.suppress(SandboxError):  # the sandbox was stopped, and its terminals with it
                await last_of(gate.begin(caller, m.CloseTerminal(session, started.command)))

    async def _carry(self, gate: Gate, caller: Caller, session: str, number: int, may: Callable[[], bool]) -> None:
        typing = asyncio.get_running_loop().create_task(self._type_while(may, gate, caller, session, number))
        try:
            await self._print(gate, caller, session, number, typing)
        finally:
            typing.cancel()
            await asyncio.wait([typing])

    async def _print(self, gate: Gate, caller: Caller, session: str, number: int, typing: asyncio.Task[None]) -> None:
        while True:
            recording = gate.begin(caller, m.ReadTerminal(session, number))
            reading = asyncio.get_running_loop().create_task(last_of(recording))
            await asyncio.wait({reading, typing}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                recording.cancel()
                reading.cancel()
                await asyncio.wait([reading])
                await self._end(typing)
                return
            read = reading.result()
            assert isinstance(read, m.TerminalRead)
            if not read.data:
                await self._say({"exit_code": read.exit_code})
                await self._send({"type": "websocket.close", "code": _DONE})
                return
            async with asyncio.timeout(_STUCK_SECONDS):
                await self._send({"type": "websocket.send", "bytes": read.data})

    async def _end(self, typing: asyncio.Task[None]) -> None:
        """The client has gone, or has said what cannot be."""
        error = typing.exception()
        if isinstance(error, SandboxError):
            await self._send({"type": "websocket.close", "code": _BAD_DATA, "reason": error.message[:100]})
        elif error is not None and not isinstance(error, Gone):
            raise error

    async def _say(self, value: object) -> None:
        await self._send({"type": "websocket.send", "text": msgspec.json.encode(value).decode()})

    async def _type_while(self, may: Callable[[], bool], gate: Gate, caller: Caller, session: str, number: int) -> None:
        """Raises Gone, UsageError, SandboxAccessError once the key is not in force any more."""
        typing = asyncio.get_running_loop().create_task(self._type(gate, caller, session, number))
        try:
            while not typing.done():
                if not may():
                    raise SandboxAccessError("the key has expired or was revoked", {"status": 401})
                await asyncio.wait([typing], timeout=_LOOK_SECONDS)
            typing.result()
        finally:
            typing.cancel()
            await asyncio.wait([typing])

    async def _type(self, gate: Gate, caller: Caller, session: str, number: int) -> None:
        """Raises Gone, UsageError."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise Gone
            if (data := message.get("bytes")) is not None:
                await self._typed(gate.begin(caller, m.WriteStdin(session, number, data)))
            else:
                size = _size(message.get("text") or "")
                await last_of(gate.begin(caller, m.ResizeTerminal(session, number, size.cols, size.rows)))

    async def _typed(self, recording: Recording) -> None:
        """Nothing is heard of the client meanwhile, so this has a limit. Raises UsageError."""
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await last_of(recording)
        except TimeoutError:
            raise UsageError("what is typed is not taken") from None
        finally:
            recording.cancel()


def _size(text: str) -> Size:
    try:
        return msgspec.json.decode(text, type=Size)
    except msgspec.MsgspecError as error:
        raise UsageError(f"a text message gives a size: {error}") from error


def _asked(scope: Any, session: str) -> m.StartTerminal:
    found = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    argv = tuple(found.pop("argv", _SHELL))
    try:
        values = {name: int(value) for name, (value,) in found.items() if name in {"cols", "rows"}}
    except ValueError as error:
        raise UsageError(f"cols and rows are numbers, once each: {error}") from error
    if unknown := found.keys() - values.keys():
        raise UsageError(f"there is no parameter {', '.join(map(repr, sorted(unknown)))}; there are: argv, cols, rows")
    return m.StartTerminal(session, argv, values.get("cols", 80), values.get("rows", 24))
