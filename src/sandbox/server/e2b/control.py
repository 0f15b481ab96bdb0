"""The control plane: making, listing, pausing and ending sandboxes."""

from __future__ import annotations

import base64
import binascii
import os
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

import msgspec

from sandbox.errors import SandboxError, SessionNotFound, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import network, shapes
from sandbox.server.e2b.boxes import Box, Boxes
from sandbox.server.e2b.tokens import Tokens
from sandbox.server.e2b.visit import Unsupported, Visit, decoded, query_of, resume
from sandbox.server.gate import Gate
from sandbox.server.http import Call, last_of, status_of

_MB = 1 << 20
_MOST_METADATA = 100
_MOST_TEXT = 10_000
_PAGE = 100
_MOST_FORKS = 100


class Control:
    """Answers requests that come with a key."""

    def __init__(self, boxes: Boxes, tokens: Tokens, domain: str) -> None:
        self._boxes, self._tokens, self._domain = boxes, tokens, domain

    async def create(self, call: Call, gate: Gate) -> None:
        """Make a sandbox, of whatever template: they are all what the server has."""
        said = decoded(await call.body(), shapes.New)
        _check_new(said)
        owner, now = call.caller.key.owner, time.time()
        name = f"i{os.urandom(10).hex()}"
        kind, policy = network.wanted(said.allow_internet_access, said.network)
        options = m.SessionOptions(name=said.templateID[:200], env=said.envVars or {}, network=kind, policy=policy)
        once = call.header("idempotency-key")
        request = m.OpenSession(options, name, fresh=True)
        recording = gate.begin(call.caller, request, None if once is None else f"e2b:{once[:200]}")
        opened = await last_of(recording)
        assert isinstance(opened, m.SessionOpened)
        known = self._boxes.get(owner, opened.session)  # where the request had come before
        if known is None:
            known = Box(
                owner, opened.session, said.templateID, said.metadata or {}, now, now + said.timeout, said.autoPause,
                said.autoResume is not None and said.autoResume.enabled, opened.isolation,
                public=said.network is None or said.network.allowPublicTraffic is not False,
            )  # fmt: skip
            await self._keep(call, gate, known)
        await call.json(self._made(call, known), 201)

    async def _keep(self, call: Call, gate: Gate, box: Box) -> None:
        try:
            self._boxes.keep(box)
        except BaseException:  # nobody would end it
            gate.begin(call.caller, m.DeleteSession(box.id))
            raise

    async def list(self, call: Call, gate: Gate) -> None:
        """Sandboxes by metadata, state, template and when they were made, some at a time, the newest first."""
        one, several = query_of(call), parse_qs(call.scope["query_string"].decode("latin-1"))
        states = {state for value in several.get("state", ["running,paused"]) for state in value.split(",")}
        metadata = {unquote(k): unquote(v) for k, v in parse_qsl(one.get("metadata", ""), keep_blank_values=True)}
        limit = _whole(one.get("limit", str(_PAGE)), 1, _PAGE)
        ascending = one.get("order", "desc") == "asc"
        after = _place(one["nextToken"]) if "nextToken" in one else None
        found = [
            box
            for box in sorted(self._boxes.of(call.caller.key.owner), key=_order, reverse=not ascending)
            if shapes.state_of(box, self._boxes) in states
            and box.metadata.items() >= metadata.items()
            and one.get("template", box.template) == box.template
            and (after is None or (_order(box) > after if ascending else _order(box) < after))
        ]
        page, rest = found[:limit], found[limit:]
        headers = [(b"x-next-token", _token(page[-1]).encode())] if rest else []
        body = msgspec.json.encode([shapes.shown(box, self._boxes) for box in page])
        await call.respond(200, body, "application/json", headers)

    async def get(self, call: Call, gate: Gate, name: str) -> None:
        """One sandbox."""
        await call.json(shapes.described(self._box(call, name), self._boxes, self._domain))

    async def kill(self, call: Call, gate: Gate, name: str) -> None:
        """Delete a sandbox, with all there is of it."""
        visit = self._visit(call, gate, name)
        await last_of(visit.begin(m.DeleteSession(name)))
        self._boxes.forget(visit.box)
        await call.respond(204, b"", "application/json")

    async def set_timeout(self, call: Call, gate: Gate, name: str) -> None:
        """Let it live for so many seconds from now."""
        box, said = self._box(call, name), decoded(await call.body(), shapes.Seconds)
        box.ends = _ends(said.timeout if said.timeout is not None else said.duration)
        self._boxes.keep(box)
        await call.respond(204, b"", "application/json")

    async def pause(self, call: Call, gate: Gate, name: str) -> None:
        """Stop it. Variables and files stay, processes do not."""
        visit, said = self._visit(call, gate, name), decoded(await call.body(), shapes.Seconds)
        _check_memory(said.memory)
        if not self._boxes.running(visit.box):
            raise UsageError(f"sandbox {name} is paused already", {"status": 409})
        await visit.ask(m.CloseSession(name), m.Done)
        await call.respond(204, b"", "application/json")

    async def connect(self, call: Call, gate: Gate, name: str) -> None:
        """Start it if it is paused, and let it live for so many seconds at least."""
        visit, said = self._visit(call, gate, name), decoded(await call.body(), shapes.Seconds)
        _check_memory(said.memory)
        was_running = self._boxes.running(visit.box)
        ends = _ends(said.timeout if said.timeout is not None else shapes.DEFAULT_SECONDS)
        await resume(visit, max(ends, visit.box.ends) if was_running else ends)
        await call.json(self._made(call, visit.box), 200 if was_running else 201)

    async def set_network(self, call: Call, gate: Gate, name: str) -> None:
        """Change what it may reach."""
        visit, said = self._visit(call, gate, name), decoded(await call.body(), network.Network)
        await visit.ask(m.SetNetwork(name, *network.wanted(said.allow_internet_access, said)), m.Done)
        if said.allowPublicTraffic is not None:
            visit.box.public = said.allowPublicTraffic
            self._boxes.keep(visit.box)
        await call.respond(204, b"", "application/json")

    async def fork(self, call: Call, gate: Gate, name: str) -> None:
        """Make sandboxes that begin where this one is now: with its variables and files, not its processes."""
        visit, said = self._visit(call, gate, name), decoded(await call.body(), shapes.Seconds)
        if not 1 <= said.count <= _MOST_FORKS:
            raise UsageError(f"count={said.count} is not from 1 to {_MOST_FORKS}")
        ends = _ends(said.timeout if said.timeout is not None else shapes.DEFAULT_SECONDS)
        ids = tuple(f"i{os.urandom(10).hex()}" for _ in range(said.count))
        await visit.ask(m.Fork(name, ids), m.Done)
        results = []
        for one in ids:
            box = msgspec.structs.replace(visit.box, id=one, started=time.time(), ends=ends)
            self._boxes.keep(box)
            results.append({"sandbox": self._made(call, box)})
        await call.json(results, 201)

    async def metrics(self, call: Call, gate: Gate, name: str) -> None:
        """What it uses now: there is no history."""
        visit = self._visit(call, gate, name)
        measured = (await visit.ask(m.GetMetrics(name), m.MetricsMeasured)).values
        now = time.time()
        figures: dict[str, Any] = {
            "timestamp": shapes.time_of(now), "timestampUnix": int(now),
            "cpuCount": shapes.shown(visit.box, self._boxes)["cpuCount"], "cpuUsedPct": measured["cpu_usage"],
            "memUsed": int(measured["memory_usage"] * _MB), "memTotal": int(measured["memory_limit"] * _MB),
            "memCache": 0, "diskUsed": int(measured["disk_usage"] * _MB),
            "diskTotal": int(measured["disk_limit"] * _MB),
        }  # fmt: skip
        await call.json([figures])

    # --- one sandbox ---

    def _box(self, call: Call, name: str) -> Box:
        box = self._boxes.get(call.caller.key.owner, name)
        if box is None:
            raise SessionNotFound(f"sandbox {name[:100]!r} not found")
        return box

    def _visit(self, call: Call, gate: Gate, name: str) -> Visit:
        return Visit(call, gate, self._boxes, self._box(call, name))

    def _made(self, call: Call, box: Box) -> dict[str, Any]:
        return shapes.made(box, self._tokens.of(call.caller.key, box.id), self._domain)


async def refuse(call: Call, error: SandboxError) -> None:
    """Answer with an error. What cannot be started now could not in a moment: clients would try a 503 again."""
    status = {502: 404, 503: 500}.get(status_of(error), status_of(error))
    await call.refused(error, status, msgspec.json.encode({"code": status, "message": error.message}))


def _check_new(said: shapes.New) -> None:
    asked = {"mcp": said.mcp, "iam": said.iam, "volumeMounts": said.volumeMounts}
    if names := [name for name, value in asked.items() if value]:
        raise Unsupported(f"{', '.join(names)} cannot be set for a sandbox", 400)
    _check_memory(said.autoPauseMemory)
    _ends(said.timeout)
    metadata = said.metadata or {}
    if len(metadata) > _MOST_METADATA or any(len(k) + len(v) > _MOST_TEXT for k, v in metadata.items()):
        raise UsageError(f"metadata has at most {_MOST_METADATA} entries of at most {_MOST_TEXT} characters")
    if not said.templateID or len(said.templateID) > 200:
        raise UsageError("templateID has 1 to 200 characters")


def _check_memory(memory: bool) -> None:
    if not memory:
        raise Unsupported("a pause keeps variables and files: there is none of files alone", 400)


def _ends(seconds: int | None) -> float:
    if seconds is None or not 0 <= seconds <= shapes.MOST_SECONDS:
        raise UsageError(f"timeout={seconds} is not a number of seconds from 0 to {shapes.MOST_SECONDS}")
    return time.time() + seconds


def _whole(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        raise UsageError(f"limit={text[:20]!r} is not a number from {least} to {most}")
    return int(text)


def _order(box: Box) -> tuple[float, str]:
    return box.started, box.id


def _token(box: Box) -> str:
    return base64.urlsafe_b64encode(f"{box.started!r} {box.id}".encode()).decode()


def _place(token: str) -> tuple[float, str]:
    try:
        at, _, name = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        return float(at), name
    except (ValueError, binascii.Error) as error:
        raise UsageError("nextToken is none that was given out") from error
