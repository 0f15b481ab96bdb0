"""The terminal's WebSocket, for clients that are not our SDK."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.serving import Serving

from .conftest import Http

client = pytest.importorskip("websockets.asyncio.client")
exceptions = pytest.importorskip("websockets.exceptions")


def connect(serving: Serving, key: str | None, query: str = "", session: str = "box") -> Any:
    headers = {} if key is None else {"Authorization": key}
    url = f"ws://{urlsplit(serving.url).netloc}/v1/sandboxes/{session}/terminal{query}"
    return client.connect(url, additional_headers=headers, proxy=None)


async def until(socket: Any, pattern: str) -> str:
    text = ""
    async with asyncio.timeout(50):
        while not re.search(pattern, text):
            data = await socket.recv()
            assert isinstance(data, bytes), data
            text += data.decode()
    return text


@pytest.fixture
async def key(http: Http) -> str:
    """Of who has a sandbox `box`."""
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    return str(http.session.headers["Authorization"])


async def test_what_is_typed_and_printed_goes_over_a_websocket(serving: Serving, http: Http, key: str) -> None:
    async with connect(serving, key, "?cols=90&rows=30&argv=sh") as socket:
        await socket.send(b"stty size; echo $((6*7))\n")
        assert "30 90" in await until(socket, r"\r\n42\r\n")
        await socket.send(json.dumps({"cols": 70, "rows": 20}))
        await socket.send(b"stty size\n")
        await until(socket, "20 70")
        await socket.send(b"exit 5\n")
        messages = [message async for message in socket]
    assert json.loads(messages[-1]) == {"exit_code": 5}
    assert {"do": "start_terminal", "program": "sh"}.items() <= _last(serving, "start_terminal").items()


def _last(serving: Serving, do: str) -> dict[str, Any]:
    return [line for line in serving.audit if line["do"] == do][-1]


async def test_a_terminal_ends_with_its_key(serving: Serving, clients: Any) -> None:
    key = serving.key(owner="leaked")
    http: Http = clients(serving.url, key)
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    async with connect(serving, f"Bearer {key}", "?argv=cat") as socket:
        await socket.send(b"there\n")
        await until(socket, "there")
        serving.run("keys", "revoke", key.split("_")[1])
        async with asyncio.timeout(50):
            await socket.wait_closed()
        assert "revoked" in socket.close_reason
    assert (await clients(serving.url, serving.key(owner="leaked"))("DELETE", "/v1/sandboxes/box"))[0] == 200


async def test_a_client_that_goes_takes_its_terminal_along(serving: Serving, http: Http, key: str) -> None:
    async with connect(serving, key, "?argv=sleep&argv=54321"):
        pass
    async with asyncio.timeout(50):
        while True:
            _, events = await http(
                "POST", "/v1/sandboxes/box/commands", {"argv": ["sh", "-c", "cat /proc/[0-9]*/cmdline"]}
            )
            if "54321" not in "".join(event.get("text", "") for event in events):
                break


@pytest.mark.parametrize(
    ("query", "session", "status"),
    [("?rows=x", "box", 400), ("?color=1", "box", 400), ("?argv=none", "box", 400), ("?cols=0", "box", 400),
     ("", "other", 409), ("?argv=", "box", 400)],
)  # fmt: skip
async def test_what_cannot_be_is_refused_before_it_is_opened(
    serving: Serving, key: str, query: str, session: str, status: int
) -> None:
    with pytest.raises(exceptions.InvalidStatus) as caught:
        await connect(serving, key, query, session)
    assert caught.value.response.status_code == status
    error = json.loads(caught.value.response.body)["error"]
    assert error["message"]
    assert error["request_id"] == caught.value.response.headers["x-request-id"]


async def test_nobody_opens_one_without_a_key_or_with_anothers(serving: Serving, key: str) -> None:
    for wrong, status in ((None, 401), ("Bearer sbx_1_2", 401), (f"Bearer {serving.key()}", 409)):
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await connect(serving, wrong)
        assert caught.value.response.status_code == status


async def test_a_message_that_is_no_size_ends_the_connection(serving: Serving, key: str) -> None:
    async with connect(serving, key, "?argv=cat") as socket:
        await socket.send("nonsense")
        with pytest.raises(exceptions.ConnectionClosed, match="1007"):
            [await socket.recv() for _ in range(10)]


async def test_a_sandbox_that_is_stopped_ends_it(serving: Serving, http: Http, key: str) -> None:
    async with connect(serving, key, "?argv=cat") as socket:
        await socket.send(b"x\n")
        await until(socket, "x\r\nx\r\n")
        assert (await http("POST", "/v1/sandboxes/box/stop", {}))[0] == 200
        with contextlib.suppress(exceptions.ConnectionClosed):
            [await socket.recv() for _ in range(10)]
    assert "Traceback" not in serving.log
