"""Ports of sandboxes: `PORT-SANDBOX` below the domain of web apps, as the clients' `get_host` makes the name.

A sandbox's id is long and random, and who knows it may visit, as with the clients' own service. Where traffic is not to
be public, a visitor shows the sandbox's token too.
"""

from __future__ import annotations

import re
import socket
from functools import partial

from sandbox.engine.web import way
from sandbox.engine.web.visits import Visits
from sandbox.errors import SandboxClosedError
from sandbox.server import names
from sandbox.server.apps.apps import Visit
from sandbox.server.e2b.boxes import Box, Boxes
from sandbox.server.e2b.tokens import Tokens
from sandbox.server.gate import Gate

_LABEL = re.compile(r"([1-9][0-9]{0,4})-(i[0-9a-f]{20})", re.ASCII)
_OF_THE_API = {"49983", "49999"}
_SECONDS = 12 * 3600.0


class Ports:
    """Finds ports by their names."""

    def __init__(self, boxes: Boxes, tokens: Tokens, gate: Gate) -> None:
        self._boxes, self._tokens, self._gate = boxes, tokens, gate
        self._visits: dict[tuple[str, int], Visits] = {}  # of ports that have some

    @property
    def domain(self) -> str:
        """What clients are told, to make names below it."""
        pattern = self._gate.apps.pattern
        return f"{pattern.domain}{pattern.port}"

    def find(self, label: str, token: str | None) -> Visit | None:
        """The port that a name means, of a sandbox that runs and that a visitor with this token may see."""
        match = _LABEL.fullmatch(label)
        box = None if match is None else self._boxes.named(match[2])
        if match is None or box is None or match[1] in _OF_THE_API or int(match[1]) >= 1 << 16:
            return None
        if not self._boxes.running(box) or not (box.public or self._may(box, token)):
            return None
        return Visit(self._of(box, int(match[1])).visit, _SECONDS)

    def _may(self, box: Box, token: str | None) -> bool:
        key = None if token is None else self._tokens.verify(token, box.id)
        return key is not None and key.owner == box.owner

    def _of(self, box: Box, port: int) -> Visits:
        if (box.id, port) not in self._visits:
            self._visits = {name: one for name, one in self._visits.items() if one.count}
            self._visits[box.id, port] = Visits(partial(self._connect, box, port))
        return self._visits[box.id, port]

    async def _connect(self, box: Box, port: int) -> socket.socket:
        """Raises OSError where nobody listens, and where the port would be one of this machine's own."""
        try:
            cell = self._gate.engine.sessions.active(names.inner(box.owner, box.id)).cell
        except SandboxClosedError as error:
            raise ConnectionRefusedError(error.message) from error
        if cell is None or not way.has_own_network(cell):
            raise ConnectionRefusedError("the sandbox has no process, or no network of its own")
        return await way.connect(cell, port)
