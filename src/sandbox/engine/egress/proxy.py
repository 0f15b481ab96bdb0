"""The proxy of one worker: a socket that listens on the worker's own loopback, and is served from outside."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from sandbox.engine.egress.conversation import Conversation
from sandbox.engine.isolation import most_open_files

MOST_CONNECTIONS = 64
_LEAST_CONNECTIONS = 4
_SHARE = 64  # of the files that the engine may have open, since each takes two
_BACKLOG = 128
_PAUSE_SECONDS = 1.0
# What the kernel may keep of what is sent to somebody inside who does not read: it is the host's memory.
_BUFFER_BYTES = 128 * 1024


def listen(made: socket.socket, address: str, port: int) -> socket.socket:
    """Let a new socket in a worker's network listen there. It stays in the network in which it was made."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    made.bind((address, port))
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made


def most_connections() -> int:
    """How many one sandbox may have, so that it leaves files for others."""
    return max(_LEAST_CONNECTIONS, min(MOST_CONNECTIONS, most_open_files() // _SHARE))


class Proxy:
    """Accepts connections, a bounded number at once; others wait in the kernel. Runs in the engine's loop."""

    def __init__(self, listener: socket.socket, begin: Callable[[socket.socket], Conversation]) -> None:
        self._listener = listener
        self._begin = begin
        self._slots = asyncio.Semaphore(most_connections())
        self._under_way: dict[asyncio.Task[None], Conversation] = {}
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                inner, _ = await loop.sock_accept(self._listener)
            except OSError:  # it was gone again, or no descriptors are left: others must end first
                self._slots.release()
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            inner.setblocking(False)
            conversation = self._begin(inner)
            task = loop.create_task(conversation.serve())
            self._under_way[task] = conversation
            task.add_done_callback(self._on_ended)

    def _on_ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._slots.release()
        if not task.cancelled():
            task.result()  # a mistake of ours is for the loop to tell of

    @property
    def conversations(self) -> list[Conversation]:
        """Those under way."""
        return list(self._under_way.values())

    async def cut(self, wanted: Callable[[Conversation], bool]) -> int:
        """End those that are `wanted`; return how many."""
        tasks = [task for task, conversation in self._under_way.items() if wanted(conversation)]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        return len(tasks)

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        self._listener.close()
        await self.cut(lambda _: True)
