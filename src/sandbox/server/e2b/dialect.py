"""Which request goes where, and who sends it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from sandbox.errors import SandboxError
from sandbox.server.access import Access
from sandbox.server.database import server_dir
from sandbox.server.e2b import connect, control, files, paths
from sandbox.server.e2b.boxes import Boxes
from sandbox.server.e2b.filesystem import Filesystem
from sandbox.server.e2b.interpreter import Interpreter
from sandbox.server.e2b.ports import Ports
from sandbox.server.e2b.processes import Processes
from sandbox.server.e2b.tokens import Signature, Tokens, kept_secret, key_text
from sandbox.server.e2b.visit import Gone, Unsupported, Visit, query_of
from sandbox.server.gate import Gate
from sandbox.server.http import Call, status_of
from sandbox.server.keys import Key, Keyring
from sandbox.store.database import Database

_ENVD, _INTERPRETER = "49983", "49999"
_OWN = re.compile(r"/(v1/.*|metrics|healthz|openapi\.json)?")
_CONTROL = re.compile(r"/(v2/)?sandboxes(/.*)?")
_ONE = re.compile(r"(?:/v2)?/sandboxes/([A-Za-z0-9_-]{1,90})(/[a-z]+)?")
_CONTEXT = re.compile(r"/contexts/([A-Za-z0-9-]{1,100})(/restart)?")
_RPC = re.compile(r"/(process\.Process|filesystem\.Filesystem)/([A-Za-z]{1,50})")
_TOGETHER = 500  # signatures that are looked at before others have a turn
_HOW_KEY = "send it as X-API-Key"
_HOW_ELSE = "send the sandbox's access token as X-Access-Token"
Answering = Callable[[Visit], Awaitable[None]]


class E2b:
    """Answers E2B's clients."""

    def __init__(self, database: Database, keys: Keyring, gate: Gate) -> None:
        self._boxes = Boxes(database, gate)
        self._tokens = Tokens(kept_secret(server_dir()), keys)
        self._keys = keys
        ports = Ports(self._boxes, self._tokens, gate)
        gate.apps.also(ports.find)
        self._control = control.Control(self._boxes, self._tokens, ports.domain)
        self._interpreter, self._processes, self._filesystem = Interpreter(), Processes(), Filesystem()
        self._one = _of_one(self._control)
        self._plain = _plain(self._interpreter)
        self._rpc: dict[str, dict[str, Answering]] = {
            "process.Process": self._processes.calls(), "filesystem.Filesystem": self._filesystem.calls(),
        }  # fmt: skip

    async def close(self) -> None:
        """The server ends."""
        await self._filesystem.close()
        await self._processes.close()
        await self._boxes.close()

    # --- whose it is ---

    def takes(self, call: Call) -> bool:
        """Whether it is for a sandbox, comes with this API's header for keys, or is at its paths."""
        path = call.scope["path"]
        if call.header("e2b-sandbox-id") is not None:
            return True
        if _OWN.fullmatch(path):
            return False
        return call.header("x-api-key") is not None or _CONTROL.fullmatch(path) is not None or _is_signed(call)

    async def admit(self, call: Call, access: Access, address: str) -> Key:
        """The key itself, or the key of an access token or of a signature. Raises as `Access.admit`."""
        sandbox = call.header("e2b-sandbox-id")
        if sandbox is not None:
            token = call.header("x-access-token") or call.header("e2b-traffic-access-token")
            key = None if token is None else self._tokens.verify(token, sandbox)
            return await access.settle(key, token is not None, address, _HOW_ELSE)
        if _is_signed(call):
            access.check_patience(address)
            return await access.settle(await self._signer(call), True, address, _HOW_ELSE)
        text = call.header("x-api-key")
        key = None if text is None else self._keys.verify(key_text(text))
        return await access.settle(key, text is not None, address, _HOW_KEY)

    async def _signer(self, call: Call) -> Key | None:
        """Whose token has signed the URL, and for which sandbox: only trying all of them tells."""
        query = query_of(call)
        operation = "read" if call.scope["method"] in {"GET", "HEAD"} else "write"
        signature = Signature(
            query["signature"], query.get("path", ""), operation, query.get("username", ""),
            query.get("signature_expiration"),
        )  # fmt: skip
        for number, box in enumerate(self._boxes.every()):
            if number % _TOGETHER == _TOGETHER - 1:
                await asyncio.sleep(0)
            for key in self._keys.of_owner(box.owner):
                if signature.is_by(self._tokens.of(key, box.id)):
                    call.scope["e2b.sandbox"] = box.id
                    return None if signature.expired else key
        return None

    # --- answering ---

    async def answer(self, call: Call, gate: Gate) -> None:
        """Answer a request. Raises SandboxError."""
        sandbox = call.scope.get("e2b.sandbox") or call.header("e2b-sandbox-id")
        if sandbox is None:
            await self._to_control(call, gate)
            return
        box = self._boxes.get(call.caller.key.owner, sandbox)
        if box is None:
            raise Gone(sandbox)
        visit = Visit(call, gate, self._boxes, box)
        await visit.ready()
        await self._to_sandbox(visit)

    async def _to_control(self, call: Call, gate: Gate) -> None:
        method, path = call.scope["method"], call.scope["path"]
        if path in {"/sandboxes", "/v2/sandboxes"}:
            if method in {"POST", "GET"}:
                await (self._control.create if method == "POST" else self._control.list)(call, gate)
                return
        elif (match := _ONE.fullmatch(path)) is not None:
            name, what = match.groups()
            answering = self._one.get((method, what or ""))
            if answering is not None:
                await answering(call, gate, name)
                return
        raise Unsupported(f"{method} {path[:200]} is not to be had here")

    async def _to_sandbox(self, visit: Visit) -> None:
        call = visit.call
        method, path = call.scope["method"], call.scope["path"]
        port = call.header("e2b-sandbox-port")
        if port not in {None, _ENVD, _INTERPRETER}:
            raise Unsupported(f"port {port[:10]} of a sandbox is not reached over this API")
        if (rpc := _RPC.fullmatch(path)) is not None and method == "POST":
            _check_user(visit)
            answering = self._rpc[rpc[1]].get(rpc[2])
            if answering is not None:
                await answering(visit)
                return
        elif (context := _CONTEXT.fullmatch(path)) is not None:
            if (method, context[2]) in {("DELETE", None), ("POST", "/restart")}:
                await (self._interpreter.remove if method == "DELETE" else self._interpreter.restart)(visit, context[1])
                return
        elif (answering := self._plain.get((method, path))) is not None:
            await answering(visit)
            return
        raise Unsupported(f"{method} {path[:200]} is not to be had here")

    async def refuse(self, call: Call, error: SandboxError) -> None:
        """Answer with an error, as whichever of E2B's servers would have been asked."""
        if _RPC.fullmatch(call.scope["path"]) is not None:
            await connect.refuse(call, error)
        elif call.header("e2b-sandbox-port") == _INTERPRETER:
            await call.refused(error, status_of(error), error.message.encode(), "text/plain; charset=utf-8")
        elif call.header("e2b-sandbox-id") is not None or _is_signed(call):
            await files.refuse(call, error)
        else:
            await control.refuse(call, error)


def _of_one(own: control.Control) -> dict[tuple[str, str], Callable[[Call, Gate, str], Awaitable[None]]]:
    return {
        ("GET", ""): own.get, ("DELETE", ""): own.kill, ("GET", "/metrics"): own.metrics,
        ("POST", "/timeout"): own.set_timeout, ("POST", "/refreshes"): own.set_timeout,
        ("POST", "/pause"): own.pause, ("POST", "/connect"): own.connect, ("POST", "/resume"): own.connect,
        ("POST", "/fork"): own.fork, ("PUT", "/network"): own.set_network,
    }  # fmt: skip


def _plain(own: Interpreter) -> dict[tuple[str, str], Answering]:
    return {
        ("GET", "/health"): _healthy, ("GET", "/files"): files.get, ("POST", "/files"): files.post,
        ("POST", "/execute"): own.execute, ("POST", "/contexts"): own.create, ("GET", "/contexts"): own.list,
    }  # fmt: skip


async def _healthy(visit: Visit) -> None:
    """It is running, or the request would not have come here."""
    await visit.call.respond(204, b"", "application/json")


def _check_user(visit: Visit) -> None:
    """Raises UsageError where a call wants to be somebody else."""
    paths.check_user(paths.basic_user(visit.call.header("authorization")))


def _is_signed(call: Call) -> bool:
    return call.scope["path"] == "/files" and "signature" in query_of(call)
