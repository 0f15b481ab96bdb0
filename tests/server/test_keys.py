"""Who may call: keys, their scopes and their end, and how long somebody waits who guesses."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.serving import Serving

from sandbox import RemoteSandbox, SandboxAccessError, SandboxConnectionError, UsageError
from sandbox.sync import RemoteSandbox as SyncRemoteSandbox

from .conftest import Http


async def test_nothing_but_the_health_answers_without_a_key(serving: Serving, clients: Any) -> None:
    nobody: Http = clients(serving.url, None)
    assert await nobody("GET", "/healthz") == (200, {"status": "ok"})
    paths = ("/", "/metrics", "/openapi.json", "/v1/sandboxes", "/v1/messages", "/v1/sandboxes/x/executions", "/none")
    answers = await asyncio.gather(*(nobody("POST" if "messages" in path else "GET", path) for path in paths))
    assert {status for status, _ in answers} == {401}
    assert nobody.headers["www-authenticate"] == "Bearer"


async def test_a_wrong_key_is_refused_by_the_sdk_too(own: Serving) -> None:
    own.start()
    wrong = f"{own.first_key[:-1]}{'A' if own.first_key[-1] != 'A' else 'B'}"
    for key in (wrong, "sbx_00000000_x", "x"):
        with pytest.raises(SandboxAccessError, match="not one of this server's"):
            await RemoteSandbox(own.url, key)


async def test_keys_are_made_listed_and_revoked_while_the_server_runs(own: Serving, clients: Any) -> None:
    own.start()
    made = own.cli("keys", "create", "short", "--json", "--expires", "1h", "--sandboxes", "3", "--requests", "50")
    client: Http = clients(own.url, made["key"])
    assert (await client("GET", "/v1/sandboxes"))[0] == 200
    (listed,) = [one for one in own.cli("keys", "list", "--json")["keys"] if one["id"] == made["id"]]
    assert (listed["name"], listed["valid"], listed["quotas"]) == ("short", True, {"sandboxes": 3, "requests": 50.0})
    assert "key" not in listed
    own.run("keys", "revoke", "short")
    await _until(client, 401)
    after = {one["id"]: one["valid"] for one in own.cli("keys", "list", "--json")["keys"]}
    assert after[made["id"]] is False


async def _until(client: Http, status: int) -> None:
    deadline = time.monotonic() + 20
    while (await client("GET", "/v1/sandboxes"))[0] != status:
        assert time.monotonic() < deadline


async def test_an_upload_ends_with_its_key_also_while_nothing_comes(serving: Serving, clients: Any) -> None:
    text = serving.key(owner="uploader")
    client: Http = clients(serving.url, text)
    assert (await client("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        serving.run("keys", "revoke", text.split("_")[1])
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        status, answer = await client("PUT", "/v1/sandboxes/box/files/large", data=pieces())
    assert (status, answer["error"]["code"]) == (401, "access")
    again: Http = clients(serving.url, serving.key(owner="uploader"))
    _, listed = await again("GET", "/v1/sandboxes/box/list")
    assert listed["entries"] == [], "nothing is left of it"
    assert (await again("DELETE", "/v1/sandboxes/box"))[0] == 200


async def test_a_stream_ends_with_its_key_and_the_execution_goes_on(serving: Serving, clients: Any) -> None:
    text = serving.key(owner="reader")
    client: Http = clients(serving.url, text)
    assert (await client("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    code = "import os, time\nwhile not os.path.exists('go'): print('on', flush=True); time.sleep(0.05)"
    async with client.open("POST", "/v1/sandboxes/box/executions", data=msgspec.json.encode({"code": code})) as answer:
        await answer.content.readline()
        serving.run("keys", "revoke", text.split("_")[1])
        async with asyncio.timeout(30):
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
    again: Http = clients(serving.url, serving.key(owner="reader"))
    assert (await again("PUT", "/v1/sandboxes/box/files/go", data=b""))[0] == 201
    _, events = await again("GET", "/v1/sandboxes/box/executions/1/events")
    assert events[-1]["status"] == "ok"
    assert (await again("DELETE", "/v1/sandboxes/box"))[0] == 200


async def test_a_key_that_has_expired_opens_nothing(own: Serving, clients: Any) -> None:
    own.start()
    client: Http = clients(own.url, own.key(expires=time.time() + 1.0))
    await _until(client, 401)


async def test_only_digests_of_keys_are_kept(serving: Serving) -> None:
    key = serving.key()
    secret = key.split("_", 2)[2].encode()
    files = [path for path in (serving.home / "server").iterdir() if path.is_file()]
    assert any(b"first" in path.read_bytes() for path in files), "the keys are elsewhere"
    assert [path for path in files if secret in path.read_bytes()] == []
    assert (serving.home / "server").stat().st_mode & 0o77 == 0


async def test_a_scope_is_needed(serving: Serving, clients: Any) -> None:
    reads, runs = clients(serving.url, serving.key("metrics")), clients(serving.url, serving.key("sandboxes"))
    assert (await reads("GET", "/metrics"))[0] == 200
    assert (await reads("POST", "/v1/sandboxes", {}))[0] == 403
    status, answer = await runs("GET", "/metrics")
    assert (status, answer["error"]["code"], answer["error"]["details"]) == (403, "access", {"scope": "metrics"})


async def test_a_key_that_reads_figures_sees_and_ends_nothing_else(serving: Serving, clients: Any) -> None:
    owner = clients(serving.url, serving.key("sandboxes", owner="whole"))
    reads = clients(serving.url, serving.key("metrics", owner="whole"))
    assert (await owner("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    await owner("POST", "/v1/sandboxes/box/executions", {"code": "print('secret')"})
    for path in ("/v1/sandboxes", "/v1/sandboxes/box", "/v1/sandboxes/box/executions/1/events", "/sandboxes"):
        assert (await reads("GET", path))[0] in {401, 403}, path
    assert (await reads("DELETE", "/v1/messages/" + "n" * 20))[0] == 403
    assert (await owner("DELETE", "/v1/sandboxes/box"))[0] == 200


async def test_who_guesses_waits_longer_each_time_and_others_do_not(own: Serving, clients: Any) -> None:
    own.start()
    wrong, right = clients(own.url, "sbx_00000000_guess"), clients(own.url, own.key())
    begin = time.monotonic()
    for _ in range(3):
        assert (await wrong("GET", "/v1/sandboxes"))[0] == 401
    assert time.monotonic() - begin >= 0.1 + 0.2 + 0.4, "each attempt is to take twice as long as the one before"
    guessing = asyncio.ensure_future(wrong("GET", "/v1/sandboxes"))
    for _ in range(5):
        assert (await right("GET", "/v1/sandboxes"))[0] == 200
    assert not guessing.done(), "somebody with a key waited for somebody without"
    assert (await guessing)[0] == 401


async def test_many_guesses_at_once_are_turned_away(own: Serving, clients: Any) -> None:
    own.start()
    wrong: Http = clients(own.url, "sbx_00000000_guess")
    answers = await asyncio.gather(*(wrong("GET", "/v1/sandboxes") for _ in range(40)))
    assert {status for status, _ in answers} == {401, 429}


def test_a_server_that_others_could_reach_needs_a_key_first(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path)]
    environment = Serving(tmp_path).environment
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 3
    assert "there is no key: make one with `sandbox keys create NAME`" in done.stderr
    assert "serving" not in done.stdout


def test_two_servers_do_not_share_a_directory(serving: Serving) -> None:
    command = [sys.executable, "-m", "sandbox", "serve", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=serving.environment, check=False)
    assert (done.returncode, "another server uses" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "x", "--scope", "everything"), "invalid choice"),
        (("create", "x", "--owner", "local"), "cannot be an owner"),
        (("create", "x", "--sandboxes", "0"), "leaves nothing"),
        (("create", "x", "--expires", "tomorrow"), "is not a time"),
        (("create", "\x1b[31m"), "cannot be the name"),
        (("revoke", "none"), "no key in force"),
    ],
)
def test_what_no_key_can_be_is_refused(serving: Serving, arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "keys", *arguments], capture_output=True, text=True, timeout=60,
        env=serving.environment, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:5555", "ftp://x", "http://", "http://x/?q=1", ""])
def test_what_is_no_url_of_a_server_is_said_before_anything_is_sent(url: str) -> None:
    with pytest.raises(UsageError, match="is not a server's URL"):
        RemoteSandbox(url or "x", "key")


def test_the_environment_names_server_and_key(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_URL", serving.url)
    with pytest.raises(UsageError, match="SANDBOX_API_KEY"):
        SyncRemoteSandbox()
    monkeypatch.setenv("SANDBOX_API_KEY", serving.key())
    with SyncRemoteSandbox() as box:
        assert box.run("6 * 7").text == "42"
        box.delete()


async def test_where_no_server_is_it_says_so_soon() -> None:
    with pytest.raises(SandboxConnectionError, match=r"the server http://127\.0\.0\.1:9 cannot be reached"):
        await RemoteSandbox("http://127.0.0.1:9", "key")


async def test_what_answers_and_is_no_server_of_sandboxes_is_said() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        with pytest.raises(SandboxConnectionError, match="not as a server of sandboxes: hello"):
            await RemoteSandbox(f"http://127.0.0.1:{port}", "key")
