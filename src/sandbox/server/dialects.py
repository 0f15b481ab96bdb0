"""APIs of other servers, so that their clients work with this one, on the same port."""

from __future__ import annotations

from typing import Protocol

from sandbox.errors import SandboxError
from sandbox.server.access import Access
from sandbox.server.gate import Gate
from sandbox.server.http import Call
from sandbox.server.keys import Key


class Dialect(Protocol):
    """One such API. It becomes the same messages as our own, and goes through the same gate."""

    def takes(self, call: Call) -> bool:
        """Whether a request is one of this API."""

    async def admit(self, call: Call, access: Access, address: str) -> Key:
        """The caller's key. Raises SandboxAccessError, SandboxQuotaError."""

    async def answer(self, call: Call, gate: Gate) -> None:
        """Answer a request of a caller with a key. Raises SandboxError."""

    async def refuse(self, call: Call, error: SandboxError) -> None:
        """Answer with an error in the form of this API. Raises AnswerLost where another answer has begun."""

    async def close(self) -> None:
        """The server ends."""
