"""The application: who calls is settled here, and then which door the request goes through."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from sandbox.errors import SandboxError, UsageError
from sandbox.server import messages, terminal
from sandbox.server.access import Access, require
from sandbox.server.apps import proxy
from sandbox.server.apps.apps import Apps
from sandbox.server.audit import Caller
from sandbox.server.dialects import Dialect
from sandbox.server.gate import Gate
from sandbox.server.http import AnswerLost, Call, status_of
from sandbox.server.keys import Key
from sandbox.server.quotas import Rates

_log = logging.getLogger("sandbox.server")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
_MESSAGES = "/v1/messages"
Rest = Callable[[Call, Gate], Awaitable[None]]


class App:
    """An ASGI application. `gate` is there between `started` and `stopped`, in the server's loop."""

    apps: Apps

    def __init__(
        self,
        started: Callable[[], Awaitable[tuple[Gate, Access, Apps, tuple[Dialect, ...]]]],
        stopped: Callable[[], Awaitable[None]],
    ) -> None:
        from sandbox.server.rest import Api  # noqa: PLC0415 - it makes the API's description

        self._started, self._stopped = started, stopped
        self._rates = Rates()
        self._api = Api()
        self.gate: Gate
        self._access: Access
        self._dialects: tuple[Dialect, ...]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(Call(scope, receive, send))
        else:
            await self._connect(terminal.Socket(scope, receive, send))

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            self.gate, self._access, self.apps, self._dialects = await self._started()
        except SandboxError as error:
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stopped()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, call: Call) -> None:
        call.request_id = _request_id(call)
        _log.debug("%s", _asked_for(call), extra={"request": call.request_id})
        # Whatever else a page may have its browser say, its host's name tells that it is an app's.
        for_app = self.apps.is_meant(call.header("host") or "")
        dialect = None if for_app else next((one for one in self._dialects if one.takes(call)), None)
        try:
            try:
                if for_app:
                    await proxy.answer(call, self.apps)
                else:
                    await (self._admitted(call) if dialect is None else self._translated(call, dialect))
            except AnswerLost:
                raise
            except SandboxError as error:
                await self._refused(call, error, call.failed if dialect is None else partial(dialect.refuse, call))
        except AnswerLost as error:
            _log.debug("%s", error.message, extra={"request": call.request_id})

    async def _translated(self, call: Call, dialect: Dialect) -> None:
        """The same for a client of another server: it has a key of ours, and is counted as every other."""
        address = _address(call)
        key = await dialect.admit(call, self._access, address)
        call.caller, call.may = Caller(key, call.request_id, address), partial(self._access.holds, key)
        self._rates.enter(key)
        try:
            require(key, "sandboxes")
            await dialect.answer(call, self.gate)
        finally:
            self._rates.leave(key)

    async def _connect(self, asked: terminal.Socket) -> None:
        """A WebSocket to the server itself: a terminal, or a mistake of the client's."""
        call, session = Call(asked.scope, None, None), terminal.session_of(asked.scope["path"])
        call.request_id = _request_id(call)
        try:
            key, caller = await self._caller(call)
            if session is None:
                raise UsageError("there is no WebSocket here, only at /v1/sandboxes/ID/terminal", {"status": 404})
            self._rates.enter(key)
            try:
                await asked.serve(self.gate, caller, session, partial(self._access.holds, key))
            finally:
                self._rates.leave(key)
        except SandboxError as error:
            self._note_refusal(call, error)
            await asked.refuse(status_of(error), error, call.request_id)

    async def _refused(
        self, call: Call, error: SandboxError, answer: Callable[[SandboxError], Awaitable[None]]
    ) -> None:
        self._note_refusal(call, error)
        await answer(error)

    def _note_refusal(self, call: Call, error: SandboxError) -> None:
        self.gate.counts.refused.labels(error.code).inc()
        _log.info("%s: %s", _asked_for(call), error.message, extra={"request": call.request_id})

    async def _admitted(self, call: Call) -> None:
        path, method = call.scope["path"], call.scope["method"]
        if path == "/healthz":
            await call.json({"status": "ok"})
            return
        key, call.caller = await self._caller(call)
        call.may = partial(self._access.holds, key)
        self._rates.enter(key)
        try:
            require(key, "metrics" if path == "/metrics" else "sandboxes")
            if path == _MESSAGES and method == "POST":
                await messages.answer(call, self.gate)
            elif path.startswith(f"{_MESSAGES}/") and method == "DELETE":
                messages.cancel(call, self.gate, path.removeprefix(f"{_MESSAGES}/"))
                await call.respond(204, b"", "application/json")
            elif path == "/metrics":
                await call.respond(200, self._figures(), "text/plain; version=0.0.4; charset=utf-8")
            else:
                await self._api.answer(call, self.gate)
        finally:
            self._rates.leave(key)

    async def _caller(self, call: Call) -> tuple[Key, Caller]:
        """Who calls. Raises SandboxAccessError."""
        address = _address(call)
        key = await self._access.admit(call.header("authorization"), address)
        return key, Caller(key, call.request_id, address)

    def _figures(self) -> bytes:
        counts, states = self.gate.counts, dict.fromkeys(("running", "ready", "parked", "stopped"), 0)
        for entry in self.gate.registry.every():
            states[self.gate.state_of(entry)] += 1
        for state, number in states.items():
            counts.sandboxes.labels(state).set(number)
        counts.answers.set(len(self.gate.recordings.running))
        return counts.text()


def _address(call: Call) -> str:
    """Where the caller is."""
    return str(call.scope["client"][0]) if call.scope.get("client") else ""


def _asked_for(call: Call) -> str:
    return f"{call.scope.get('method', 'WEBSOCKET')} {call.scope['path']}"


def _request_id(call: Call) -> str:
    given = call.header("x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
