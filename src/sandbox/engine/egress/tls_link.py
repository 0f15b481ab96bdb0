"""TLS on a link, with the proxy as one end of it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import TypeVar

from sandbox.engine.egress.link import CHUNK, Link

_T = TypeVar("_T")


class TlsLink:
    """Use after `handshake`. All raise OSError, of which ssl.SSLError is one."""

    def __init__(self, link: Link, context: ssl.SSLContext, *, server_name: str | None = None) -> None:
        self._link = link
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        server_side = server_name is None
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side, server_hostname=server_name)
        self._sending = asyncio.Lock()
        self.close = link.close

    async def handshake(self, seconds: float) -> None:
        """Agree on keys. Raises TimeoutError too."""
        async with asyncio.timeout(seconds):
            await self._do(self._tls.do_handshake)

    async def receive(self) -> bytes:
        return await self._do(lambda: self._tls.read(CHUNK))

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[await self._do(lambda: self._tls.write(view)) :]  # noqa: B023 - called at once

    async def end(self) -> None:
        """Say that nothing more comes; the other side need not say so too."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()
        await self._link.end()

    async def _do(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._link.receive()
                self._in.write(data) if data else self._in.write_eof()
            except ssl.SSLError:
                await self._flush()  # an alert
                raise
            else:
                await self._flush()
                return done

    async def _flush(self) -> None:
        async with self._sending:  # in the order in which it was encrypted
            while data := self._out.read():
                await self._link.send(data)
