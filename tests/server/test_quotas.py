"""Quotas of a key, and sandboxes that are parked."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.serving import Serving

from sandbox import LocalSandbox, RemoteSandbox, SandboxQuotaError, UsageError
from sandbox.engine.thread import EngineThread
from sandbox.errors import SandboxError
from sandbox.server.quotas import Rates

from .conftest import Http


async def test_so_many_sandboxes_may_be_started(serving: Serving, clients: Any) -> None:
    http: Http = clients(serving.url, serving.key(sandboxes=2))
    for name in ("a", "b"):
        assert (await http("POST", "/v1/sandboxes", {"id": name}))[0] == 201
    status, answer = await http("POST", "/v1/sandboxes", {"id": "c"})
    assert (status, answer["error"]["code"]) == (429, "quota")
    assert "allows 2 sandboxes started, this would be 3: stop or delete some" in answer["error"]["message"]
    assert (await http("POST", "/v1/sandboxes/a/fork", {"ids": ["c"]}))[0] == 429
    await http("POST", "/v1/sandboxes/a/stop")
    assert (await http("POST", "/v1/sandboxes", {"id": "c"}))[0] == 201
    assert (await http("POST", "/v1/sandboxes/a/start"))[0] == 429
    for name in ("a", "b", "c"):
        assert (await http("DELETE", f"/v1/sandboxes/{name}"))[0] == 200


async def test_who_asks_for_many_at_once_gets_no_more(serving: Serving, clients: Any) -> None:
    http: Http = clients(serving.url, serving.key(sandboxes=2, memory=2048))
    asked = (http("POST", "/v1/sandboxes", {"id": f"s{number}"}) for number in range(8))
    statuses = Counter([status for status, _ in await asyncio.gather(*asked)])
    assert statuses == {201: 2, 429: 6}
    _, found = await http("GET", "/v1/sandboxes")
    for one in found["sandboxes"]:
        assert (await http("DELETE", f"/v1/sandboxes/{one['id']}"))[0] == 200


async def test_so_much_memory_may_be_in_use(serving: Serving) -> None:
    key = serving.key(memory=1024)
    first = await RemoteSandbox(serving.url, key, memory=700)
    with pytest.raises(SandboxQuotaError, match="allows 1024 MB of memory, this would be 1400") as caught:
        await RemoteSandbox(serving.url, key, memory=700)
    assert caught.value.retry_after is None
    second = await RemoteSandbox(serving.url, key, memory=324)
    for box in (first, second):
        await box.delete()


async def test_cpu_seconds_of_a_day_are_used_up(serving: Serving, clients: Any) -> None:
    http: Http = clients(serving.url, serving.key(cpu_seconds=0.3))
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    code = "import time\nwhile time.process_time() < 0.6: pass"
    _, events = await http("POST", "/v1/sandboxes/box/executions", {"code": code})
    assert events[-1]["status"] == "ok"
    calls: tuple[tuple[str, dict[str, object]], ...] = (
        ("executions", {"code": "1"}),
        ("commands", {"argv": ["true"]}),
        ("apps/none/restart", {}),
    )
    for path, body in calls:
        status, answer = await http("POST", f"/v1/sandboxes/box/{path}", body)
        assert (status, answer["error"]["code"]) == (402, "quota")
        assert 0 < int(http.headers["retry-after"]) <= 86_400
    assert (await http("GET", "/v1/sandboxes/box/list"))[0] == 200
    assert (await http("DELETE", "/v1/sandboxes/box"))[0] == 200


async def test_so_much_may_be_stored(own: Serving, clients: Any) -> None:
    own.start()
    http: Http = clients(own.url, own.key(disk=2))
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    code = "import os; data = os.urandom(4_000_000)"
    _, events = await http("POST", "/v1/sandboxes/box/executions", {"code": code})
    assert events[-1]["status"] == "ok"
    async with asyncio.timeout(40):  # it looks at the store every few seconds
        while (answer := await http("POST", "/v1/sandboxes/box/executions", {"code": "1"}))[0] == 200:
            pass
    assert (answer[0], answer[1]["error"]["details"]["quota"]) == (402, "MB of disk")


async def test_too_many_requests_a_second_are_told_when_to_come_again(serving: Serving, clients: Any) -> None:
    http: Http = clients(serving.url, serving.key(requests=2))
    answers = [await http("GET", "/v1/sandboxes") for _ in range(2)]
    while (answer := await http("GET", "/v1/sandboxes"))[0] == 200:
        answers.append(answer)
    assert (answer[0], answer[1]["error"]["code"], http.headers["retry-after"]) == (429, "quota", "1")


async def test_the_sdk_waits_for_a_rate_by_itself(serving: Serving) -> None:
    async with RemoteSandbox(serving.url, serving.key(requests=8)) as box:
        results = await asyncio.gather(*(box.run(str(n)) for n in range(20)))
        assert sorted(int(one.text or "") for one in results) == list(range(20))
        await box.delete()


def test_a_bucket_gives_what_came_in_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rates = Rates()
    rates._take("key", 2.0)
    rates._take("key", 2.0)
    with pytest.raises(SandboxQuotaError) as caught:
        rates._take("key", 2.0)
    assert caught.value.retry_after == 0.5
    now += 0.5
    rates._take("key", 2.0)
    with pytest.raises(SandboxQuotaError):
        rates._take("key", 2.0)
    now += 1000
    for _ in range(2):
        rates._take("key", 2.0)
    with pytest.raises(SandboxQuotaError):
        rates._take("key", 2.0)


# --- parked ---


async def _until(http: Http, state: str) -> None:
    async with asyncio.timeout(30):
        while (await http("GET", "/v1/sandboxes/box"))[1]["state"] != state:
            pass


async def test_an_idle_sandbox_is_parked_and_comes_back_with_the_next_call(http: Http) -> None:
    await http("POST", "/v1/sandboxes", {"id": "box", "options": {"idle_timeout": 0.3}})
    path = "/v1/sandboxes/box/executions"
    await http("POST", path, {"code": "x = [1]; open('file', 'w').write('kept');"})
    await http("PUT", "/v1/sandboxes/box/files/uploaded", data=b"too")
    await _until(http, "parked")
    assert (await http("GET", "/v1/sandboxes/box/files/file")) == (200, b"kept"), "files are there without a worker"
    _, events = await http("POST", path, {"code": "x.append(2); x, sorted(__import__('os').listdir())"})
    assert events[1]["data"]["text/plain"] == "([1, 2], ['file', 'uploaded'])"
    assert (events[-1]["state"]["kind"], events[-1]["warnings"]) == ("kept", [])
    await _until(http, "parked")
    _, ended = await http("POST", "/v1/sandboxes/box/commands", {"argv": ["cat", "uploaded"]})
    assert [one.get("text") for one in ended[1:-1]] == ["too"]


async def test_what_is_in_use_is_not_parked(http: Http) -> None:
    await http("POST", "/v1/sandboxes", {"id": "box", "options": {"idle_timeout": 0.1}})
    code = "import time; time.sleep(0.6); 'whole'"
    _, events = await http("POST", "/v1/sandboxes/box/executions", {"code": code})
    assert events[1]["data"]["text/plain"] == "'whole'"
    _, events = await http("POST", "/v1/sandboxes/box/commands", {"argv": ["sh", "-c", "sleep 0.6; echo whole"]})
    assert "whole\n" in {one.get("text") for one in events}
    await _until(http, "parked")


async def test_more_sandboxes_than_workers(own: Serving) -> None:
    own.arguments = ("--workers", "2")
    own.start()
    boxes = [await RemoteSandbox(own.url, own.first_key) for _ in range(5)]
    for n, box in enumerate(boxes):
        await box.run(f"x = {n}")
    assert [(await box.run("x")).text for box in boxes] == ["0", "1", "2", "3", "4"]
    waiting = "import os, time; print('on', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)"
    begun = [asyncio.Event() for _ in range(2)]
    tell: list[Callable[[str], object]] = [lambda _, event=event: event.set() for event in begun]  # type: ignore[misc]
    running = [asyncio.ensure_future(boxes[n].run(waiting, on_stdout=tell[n])) for n in range(2)]
    await asyncio.gather(*(event.wait() for event in begun))
    with pytest.raises(SandboxError, match="all of the 2 workers that there may be are in use") as caught:
        await boxes[4].run("x")
    assert isinstance(caught.value, SandboxQuotaError)
    for box in boxes[:2]:
        await box.files.write("go", "")
    await asyncio.gather(*running)
    assert (await boxes[4].run("x")).text == "4"


def _has_worker(engine: EngineThread, box: LocalSandbox) -> bool:
    """Without a call, which would be a use."""
    return engine._engine.sessions.cell_of(box.session_id) is not None


async def test_a_local_sandbox_is_parked_too(engine: EngineThread, make: Callable[..., LocalSandbox]) -> None:
    box = make(idle_timeout=0.2)
    await box.start()
    await box.run("x = 1")
    async with asyncio.timeout(30):
        while _has_worker(engine, box):  # noqa: ASYNC110 - the engine has no event for it
            await asyncio.sleep(0)
    execution = await box.run("x")
    assert (execution.text, execution.state, execution.warnings) == ("1", "kept", ())


def test_what_is_not_stored_cannot_be_parked() -> None:
    with pytest.raises(UsageError, match="idle_timeout needs persist=True"):
        LocalSandbox(idle_timeout=5, persist=False)


async def test_a_full_server_parks_one_ahead(own: Serving, clients: Any) -> None:
    """So that whoever wakes another does not wait for that."""
    own.arguments = ("--workers", "10")
    own.start()
    http: Http = clients(own.url, own.first_key)
    for number in range(10):
        assert (await http("POST", "/v1/sandboxes", {"id": f"box-{number}"}))[0] == 201
    async with asyncio.timeout(50):
        while True:
            _, listed = await http("GET", "/v1/sandboxes")
            states = [one["state"] for one in listed["sandboxes"]]
            if states.count("parked") == 1:
                break
    assert states[0] == "parked", "it was used least recently"
