"""What sandboxes use of a processor is charged to their owner: all of it, and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.serving import Serving

from sandbox import RemoteSandbox, SandboxQuotaError

from .conftest import Http

BUSY = "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass"
FOR_EVER = "while True: pass"


class Meter:
    """What all owners of a server have used since this began, as far as it was noticed."""

    def __init__(self, http: Http) -> None:
        self.http, self._before = http, 0.0

    async def begin(self) -> Meter:
        self._before = await self._total()
        return self

    async def now(self) -> float:
        return await self._total() - self._before

    async def until(self, least: float) -> float:
        """Wait until so much was charged; how much it was then."""
        async with asyncio.timeout(50):
            while (now := await self.now()) < least:
                pass
        return now

    async def _total(self) -> float:
        _, text = await self.http("GET", "/metrics")
        (line,) = [line for line in text.decode().splitlines() if line.startswith("sandbox_cpu_seconds_total ")]
        return float(line.split()[1])


@pytest.fixture
async def meter(own: Serving, clients: Any) -> AsyncIterator[Meter]:
    """Of a server that nobody else uses, with a sandbox `box`."""
    own.start()
    http: Http = clients(own.url, own.key("sandboxes", "metrics", owner="payer"))
    assert (await http("POST", "/v1/sandboxes", {"id": "box", "options": {"cpus": 2}}))[0] == 201
    yield await Meter(http).begin()
    await http("DELETE", "/v1/sandboxes/box")


async def test_what_runs_side_by_side_is_charged_once(meter: Meter) -> None:
    command = {"argv": ["python3", "-c", BUSY]}
    asked = [meter.http("POST", "/v1/sandboxes/box/commands", command) for _ in range(3)]
    asked.append(meter.http("POST", "/v1/sandboxes/box/executions", {"code": BUSY}))
    assert {status for status, _ in await asyncio.gather(*asked)} == {200}
    assert await meter.until(3.9) < 8.0, "each of four charged with what all have used makes sixteen"


async def test_what_a_sandbox_used_last_is_charged_at_its_end(meter: Meter) -> None:
    assert (await meter.http("POST", "/v1/sandboxes/box/commands", {"argv": ["python3", "-c", BUSY]}))[0] == 200
    assert (await meter.http("DELETE", "/v1/sandboxes/box"))[0] == 200
    assert 0.9 < await meter.now() < 4.0


async def test_a_terminal_is_charged_while_it_runs_and_ends_with_the_quota_for_others(
    meter: Meter, own: Serving
) -> None:
    box = await RemoteSandbox(own.url, own.key(owner="payer", cpu_seconds=1.0), session_id="box")
    async with box.terminal("python3", ["-c", FOR_EVER]):
        await meter.until(1.0)
        with pytest.raises(SandboxQuotaError, match="cpu seconds a day"):
            await box.terminal("true")


@pytest.mark.needs_namespaces
async def test_a_web_app_is_charged_while_it_runs(meter: Meter, own: Serving) -> None:
    box = await RemoteSandbox(own.url, own.key(owner="payer"), session_id="box")
    app = "import http.server, os, threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\n"
    app += "http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ['PORT']))"
    await box.web.start(command=["python3", "-c", app], app_type="http")
    before = await meter.now()
    await meter.until(before + 1.0)


async def test_a_thread_between_executions_is_charged(meter: Meter) -> None:
    code = f"import threading\ndef spin():\n    {FOR_EVER}\nthreading.Thread(target=spin, daemon=True).start()"
    assert (await meter.http("POST", "/v1/sandboxes/box/executions", {"code": code}))[0] == 200
    before = await meter.now()
    await meter.until(before + 1.0)
