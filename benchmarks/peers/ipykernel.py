"""ipykernel, which notebooks run code in: a process of its own for each session, without isolation."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import AsyncIterator
from typing import Any

_SECONDS = 60.0


class Ipykernel:
    """One of its processes with a client, used in the way that takes it the least time."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._manager = manager
        self._client = client

    @classmethod
    async def start(cls, variables: dict[str, str]) -> Ipykernel:
        """Start a process. It need not be ready: the first request waits for it.

        jupyter_client's own way of waiting, `wait_for_ready`, looks five times a second and would add 0.3 s.
        """
        from jupyter_client.manager import AsyncKernelManager

        manager = AsyncKernelManager(kernel_name="python3")
        await manager.start_kernel(env=variables, stderr=subprocess.DEVNULL)
        client = manager.client()
        client.start_channels(hb=False)
        return cls(manager, client)

    async def first(self, code: str) -> None:
        """Run code and wait for the reply that it is done. Raises RuntimeError.

        Its output is not waited for: until the channel for it is connected, messages on it may be lost.
        """
        await self._reply(self._request(code))

    async def run(self, code: str, *, silent: bool = False) -> None:
        """Run code, wait for the reply and for the message that no more output comes. Raises RuntimeError.

        `silent`: it is not told again to all clients, nor kept in the history.
        """
        request = self._request(code, silent=silent)
        await self._reply(request)
        while not _is_idle(await self._client.get_iopub_msg(timeout=_SECONDS), request):
            pass

    async def until_output_comes(self) -> None:
        """Wait until the channel for output is connected: before, `run` could wait for a message that was lost."""
        await self._client.wait_for_ready(timeout=_SECONDS)

    def _request(self, code: str, *, silent: bool = True) -> str:
        request: str = self._client.execute(code, silent=silent, store_history=not silent)
        return request

    async def _reply(self, request: str) -> None:
        while True:
            reply = await self._client.get_shell_msg(timeout=_SECONDS)
            if reply["parent_header"].get("msg_id") == request:
                break
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"ipykernel answered {reply['content']}")

    @property
    def pid(self) -> int:
        pid: int = self._manager.provisioner.pid
        return pid

    async def stop(self) -> None:
        self._client.stop_channels()
        await self._manager.shutdown_kernel(now=True)


def _is_idle(message: dict[str, Any], request: str) -> bool:
    return (message["parent_header"].get("msg_id"), message["content"].get("execution_state")) == (request, "idle")


@contextlib.asynccontextmanager
async def ipykernel(variables: dict[str, str]) -> AsyncIterator[Ipykernel]:
    """A process that is ended afterwards."""
    peer = await Ipykernel.start(variables)
    try:
        yield peer
    finally:
        await peer.stop()


async def seconds_to_first_result(variables: dict[str, str], code: str) -> float:
    """Start a process, run `code` in it; return how long it took until the reply came."""
    begin = time.perf_counter()
    async with ipykernel(variables) as peer:
        await peer.first(code)
        return time.perf_counter() - begin
