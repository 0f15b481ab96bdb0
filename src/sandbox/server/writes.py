"""The head of an answer goes out with what follows it at once: one system call, and the client wakes up once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1."


class Joined(asyncio.Transport):
    """A transport that keeps a head back until more is written, at the latest until the loop's next round."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._to = transport
        self._head = b""
        self._due: asyncio.Handle | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._head and data[: len(_HEAD)] == _HEAD:
            self._head = bytes(data)
            self._due = asyncio.get_running_loop().call_soon(self._flush)
        elif self._head:
            self._take_head(bytes(data))
        else:
            self._to.write(data)

    def _flush(self) -> None:
        if self._head:
            self._take_head(b"")

    def _take_head(self, more: bytes) -> None:
        head, self._head = self._head, b""
        if self._due is not None:
            self._due.cancel()
        self._to.write(head + more)

    def close(self) -> None:
        self._flush()
        self._to.close()

    def abort(self) -> None:
        self._head = b""
        self._to.abort()

    def is_closing(self) -> bool:
        return self._to.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._to.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._to.pause_reading()

    def resume_reading(self) -> None:
        self._to.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._to.set_write_buffer_limits(high, low)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._flush()
        self._to.set_protocol(protocol)


class Http(HttpToolsProtocol):
    """Uvicorn's, with joined writes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(Joined(cast("asyncio.Transport", transport)))
