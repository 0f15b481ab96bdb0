"""Nobody gets past the gate: keys, access tokens, signatures, quotas and the audit log hold for E2B's API too."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from e2b import AuthenticationException, RateLimitException, SandboxException, SandboxNotFoundException
from e2b_code_interpreter import Sandbox
from tests.serving import Serving

from sandbox.server.e2b import connect

_ADDRESSES = itertools.count(2)


class Raw:
    """Requests by hand, from an address of this test's own: who guesses is slowed by where they are."""

    def __init__(self, url: str) -> None:
        self.url, self._from = url, f"127.0.0.{next(_ADDRESSES)}"

    async def __call__(self, method: str, path: str, headers: dict[str, str], **more: Any) -> tuple[int, bytes]:
        connector = aiohttp.TCPConnector(local_addr=(self._from, 0))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, f"{self.url}{path}", headers=headers, **more) as answer,
        ):
            return answer.status, await answer.read()

    async def all(self, *wanted: tuple[str, str, dict[str, str]]) -> list[int]:
        """The statuses of requests that are sent at once."""
        body = {"POST": b'{"code": "1"}'}
        return [status for status, _ in await asyncio.gather(
            *(self(method, path, headers, data=body.get(method)) for method, path, headers in wanted)
        )]  # fmt: skip


@pytest.fixture
def raw(serving: Serving) -> Raw:
    return Raw(serving.url)


def to_box(box: Any, token: str | None) -> dict[str, str]:
    """The headers of a request to a sandbox."""
    given = {} if token is None else {"X-Access-Token": token}
    return {"E2b-Sandbox-Id": box.sandbox_id, "E2b-Sandbox-Port": "49999", **given}


_TO_BOX = [
    ("POST", "/execute"), ("GET", "/contexts"), ("POST", "/contexts"), ("GET", "/health"), ("GET", "/files?path=f"),
    ("POST", "/files?path=f"), ("POST", "/process.Process/List"), ("POST", "/process.Process/Start"),
    ("POST", "/filesystem.Filesystem/ListDir"), ("GET", "/v2/sandboxes"), ("GET", "/v1/sandboxes"), ("GET", "/metrics"),
]  # fmt: skip


async def test_a_sandbox_is_not_reached_without_its_token(raw: Raw, box: Any, key: str) -> None:
    keys = {**to_box(box, None), "X-API-Key": key, "Authorization": f"Bearer {key}"}
    assert await raw.all(*((*one, to_box(box, None)) for one in _TO_BOX)) == [401] * len(_TO_BOX)
    assert await raw.all(*((*one, keys) for one in _TO_BOX)) == [401] * len(_TO_BOX)
    left, _, right = box._envd_access_token.partition(".")
    guesses = ("", key, f"{left}.", f"{left}.{right[::-1]}", f"{left[::-1]}.{right}", f"{left}.é")
    assert await raw.all(*(("POST", "/execute", to_box(box, one)) for one in guesses)) == [401] * len(guesses)


async def test_a_token_opens_its_own_sandbox_alone(raw: Raw, box: Any, serving: Serving) -> None:
    token = box._envd_access_token
    other, foreign = Sandbox.create(), Sandbox.create(api_key=serving.key())
    try:
        assert await raw.all(
            ("POST", "/execute", to_box(other, token)),
            ("POST", "/execute", to_box(foreign, token)),
            ("GET", "/v2/sandboxes", {"X-API-Key": token}),
            ("GET", "/v1/sandboxes", {"Authorization": f"Bearer {token}"}),
            ("POST", "/execute", to_box(box, token)),
        ) == [401, 401, 401, 401, 200]
    finally:
        assert other.kill()
        assert foreign.kill()


def test_one_owners_key_does_not_see_anothers_sandboxes(box: Any, serving: Serving) -> None:
    other = serving.key()
    attempts: list[Callable[[], object]] = [
        lambda: Sandbox.connect(box.sandbox_id, api_key=other),
        lambda: Sandbox.get_info(box.sandbox_id, api_key=other),
        lambda: Sandbox.set_timeout(box.sandbox_id, 0, api_key=other),
        lambda: Sandbox.pause(box.sandbox_id, api_key=other),
        lambda: Sandbox.get_metrics(box.sandbox_id, api_key=other),
    ]
    for attempt in attempts:
        with pytest.raises(SandboxNotFoundException):
            attempt()
    assert not Sandbox.kill(box.sandbox_id, api_key=other)
    assert Sandbox.list(api_key=other).next_items() == []
    assert box.is_running()


def test_a_wrong_key_and_none_are_refused_in_the_clients_own_words(serving: Serving, key: str) -> None:
    with pytest.raises(AuthenticationException, match="not one of this server's"):
        Sandbox.create(api_key="e2b_00ff")
    with pytest.raises(AuthenticationException):
        Sandbox.list(api_key=key[:-1]).next_items()


def test_a_key_may_look_as_older_clients_want_it(serving: Serving, key: str) -> None:
    box = Sandbox.create(api_key=f"e2b_{key.encode().hex()}", validate_api_key=True)
    assert box.kill()


async def test_without_a_key_nothing_is_said(raw: Raw, box: Any) -> None:
    for path in ("/sandboxes", "/v2/sandboxes", f"/sandboxes/{box.sandbox_id}", "/v2/sandboxes/x/connect"):
        status, body = await raw("GET", path, {})
        assert (status, json.loads(body)["code"]) == (401, 401)


async def test_access_ends_with_the_key(serving: Serving, key: str, raw: Raw) -> None:
    text = serving.key(owner="leaver")
    box = Sandbox.create(api_key=text)
    box.files.write("f", "x")
    token, url = box._envd_access_token, box.download_url("f").removeprefix(serving.url)
    assert await raw.all(("GET", url, {}), ("POST", "/execute", to_box(box, token))) == [200, 200]
    serving.run("keys", "revoke", text.split("_")[1])
    deadline = time.monotonic() + 30
    while (await raw("GET", url, {}))[0] != 401:
        assert time.monotonic() < deadline
    with pytest.raises(AuthenticationException):
        box.files.read("f")
    assert await raw.all(("POST", "/execute", to_box(box, token))) == [401]
    again = Sandbox.connect(box.sandbox_id, api_key=serving.key(owner="leaver"))
    assert again.files.read("f") == "x"
    assert again.kill()


async def test_input_that_is_streamed_ends_with_the_key(serving: Serving, key: str) -> None:
    text = serving.key(owner="streamer")
    box = Sandbox.create(api_key=text)
    handle = box.commands.run("cat", background=True, stdin=True)

    async def pieces() -> AsyncIterator[bytes]:
        yield connect.frame({"start": {"process": {"pid": handle.pid}}})
        yield connect.frame({"data": {"input": {"stdin": base64.b64encode(b"typed\n").decode()}}})
        serving.run("keys", "revoke", text.split("_")[1])
        await asyncio.Event().wait()

    headers = {**to_box(box, box._envd_access_token), "Content-Type": connect.STREAM}
    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession(serving.url, headers=headers) as session,
        session.post("/process.Process/StreamInput", data=pieces()) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (401, "unauthenticated")
    handle.disconnect()
    assert Sandbox.connect(box.sandbox_id, api_key=serving.key(owner="streamer")).kill()


async def test_a_url_opens_one_file_in_one_way_for_a_while(raw: Raw, box: Any, serving: Serving) -> None:
    box.files.write("f", "x")
    url = box.download_url("f", use_signature_expiration=100).removeprefix(serving.url)
    late = box.download_url("f", use_signature_expiration=-1).removeprefix(serving.url)
    wrong = [
        late, url.replace("path=f", "path=g"), url.replace("expiration=", "expiration=9"), url.replace("v1_", "v1_A"),
        box.upload_url("f").removeprefix(serving.url), f"{url}&username=root",
    ]  # fmt: skip
    for some, sender in ((wrong[:3], raw), (wrong[3:], Raw(serving.url))):
        assert await sender.all(*(("GET", one, {}) for one in some)) == [401] * len(some)
    assert await Raw(serving.url).all(("GET", url, {}), ("POST", url, {})) == [200, 401]


def test_quotas_hold(serving: Serving, key: str) -> None:
    poor = serving.key(sandboxes=1)
    box = Sandbox.create(api_key=poor)
    try:
        with pytest.raises(RateLimitException, match="sandboxes started"):
            Sandbox.create(api_key=poor)
    finally:
        assert box.kill()
    metrics = serving.key("metrics")
    with pytest.raises(SandboxException, match="scope"):
        Sandbox.create(api_key=metrics)


def test_the_audit_log_has_what_clients_did(box: Any, serving: Serving, key: str) -> None:
    box.run_code("1")
    box.commands.run("true")
    box.files.write("f", "x")
    lines = [one for one in serving.audit if one["session"] == box.sandbox_id]
    assert [one["do"] for one in lines] == ["open_session", "run", "start_command", "write_file"]
    assert {one["key"] for one in lines} == {key.split("_")[1]}


async def test_sandboxes_of_our_own_api_are_not_there_for_these_clients(serving: Serving, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{serving.url}/v1/sandboxes", data=b'{"id": "ours"}') as answer:
            assert answer.status == 201
        assert Sandbox.list().next_items() == []
        with pytest.raises(SandboxNotFoundException):
            Sandbox.connect("ours")
        async with session.delete(f"{serving.url}/v1/sandboxes/ours") as answer:
            assert answer.status == 200


async def test_a_sandbox_that_our_own_api_deletes_is_gone_here_too(serving: Serving, key: str, raw: Raw) -> None:
    box = Sandbox.create()
    status, _ = await raw("DELETE", f"/v1/sandboxes/{box.sandbox_id}", {"Authorization": f"Bearer {key}"})
    assert status == 200
    assert not box.is_running()
    assert not box.kill()
    assert Sandbox.list().next_items() == []
