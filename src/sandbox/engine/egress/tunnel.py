"""Two links whose bytes are carried as they are."""

from __future__ import annotations

import asyncio

from sandbox.engine.egress.link import Link

_IDLE_SECONDS = 900.0


async def carry(inner: Link, outer: Link, idle: float = _IDLE_SECONDS) -> None:
    """Carry until both sides have ended, or nothing was said for `idle` seconds. Raises OSError, OverLimit."""
    loop = asyncio.get_running_loop()
    last = [loop.time()]

    async def one_way(source: Link, target: Link) -> None:
        while data := await source.receive():
            last[0] = loop.time()
            await target.send(data)
        await target.end()

    async def both() -> None:
        async with asyncio.TaskGroup() as ways:
            ways.create_task(one_way(inner, outer))
            ways.create_task(one_way(outer, inner))

    carrying = asyncio.ensure_future(both())
    try:
        while not carrying.done() and (left := last[0] + idle - loop.time()) > 0:
            await asyncio.wait([carrying], timeout=left)
    finally:
        carrying.cancel()
        await asyncio.wait([carrying])
    if not carrying.cancelled() and (error := carrying.exception()) is not None:
        raise error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
