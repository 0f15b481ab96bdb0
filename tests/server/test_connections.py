"""Connections that are cut, clients that go or do not read: nothing is lost, done twice, or held up for others."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.serving import Serving

from sandbox import RemoteSandbox, SandboxConnectionError
from sandbox.remote import client

from .conftest import Http
from .relay import relay

_LINES = "for n in range(2000): print(n, flush=n % 50 == 0)"


async def test_an_execution_says_what_its_request_is_called_in_the_logs(serving: Serving) -> None:
    async with RemoteSandbox(serving.url, serving.key()) as sandbox:
        execution = await sandbox.run("1")
        assert execution.request_id
        (line,) = [one for one in serving.audit if one["request"] == execution.request_id]
        assert (line["do"], line["execution"]) == ("run", execution.number)
        assert sandbox.get_execution_history()[0]["request_id"] == execution.request_id
        await sandbox.delete()


@pytest.mark.parametrize("after", [[1], [150], [700, 900, 1200], [4000, 300, 1]])
async def test_an_answer_that_is_cut_is_taken_up_where_it_was_cut(serving: Serving, after: list[int]) -> None:
    async with relay(serving.url) as network, RemoteSandbox(network.url, serving.key()) as box:
        await box.run("x = 0")
        network.cut_after = list(after)
        network.cut()
        pieces: list[str] = []
        execution = await box.run(f"x += 1\n{_LINES}", on_stdout=pieces.append)
        network.cut_after = []
        assert network.cuts > len(after), "nothing was cut"
        assert execution.stdout == "".join(pieces) == "".join(f"{n}\n" for n in range(2000))
        assert (await box.run("x")).text == "1"
        await box.delete()


async def test_cuts_while_code_runs_and_prints_nothing_are_not_noticed(serving: Serving) -> None:
    async with relay(serving.url) as network, RemoteSandbox(network.url, serving.key()) as box:
        code = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('went')"
        running = asyncio.ensure_future(box.run(code))
        beside = RemoteSandbox(serving.url, serving_key(box), session_id=box.session_id)
        await beside.start()
        for _ in range(3):
            network.cut()
            await beside.metrics.all()
        await beside.files.write("go", "")
        assert (await running).stdout == "went\n"
        await box.delete()


def serving_key(box: RemoteSandbox) -> str:
    return str(box._server[1])


async def test_uploads_and_commands_survive_cuts_too(serving: Serving, tmp_path: Path) -> None:
    content = bytes(range(256)) * 16_000
    async with relay(serving.url) as network, RemoteSandbox(network.url, serving.key()) as box:
        network.cut_after = [100, 60, 300_000, 2_000_000]
        await box.files.write("file", content)
        network.cut()
        assert await box.files.read("file") == content
        ended = await box.command.run("sh", ["-c", "for n in 1 2 3; do echo $n; done"])
        assert ended.stdout == "1\n2\n3\n"
        network.cut_after = []
        await box.delete()


async def test_a_server_that_stays_away_is_an_error_in_the_end(own: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PATIENCE_SECONDS", 1.0)
    own.start()
    box = await RemoteSandbox(own.url, own.first_key)
    running = asyncio.ensure_future(box.run("import time; print('on', flush=True); time.sleep(1000)", timeout=None))
    while not (await box.metrics.all())["executions"]:
        pass
    own.kill()
    with pytest.raises(SandboxConnectionError, match="cannot be reached"):
        await running


async def test_being_cancelled_interrupts_the_code_and_keeps_the_variables(serving: Serving) -> None:
    async with RemoteSandbox(serving.url, serving.key()) as box:
        begun = asyncio.Event()
        code = "x = 1\nprint('on', flush=True)\nimport time; time.sleep(1000)"
        running = asyncio.ensure_future(box.run(code, timeout=None, on_stdout=lambda _: begun.set()))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await box.run("x")).text == "1"
        assert [one["status"] for one in box.get_execution_history()] == ["ok", "interrupted"]
        await box.delete()


def _slow(http: Http, path: str, receive: int = 4096) -> socket.socket:
    """A client that asks, and then reads nothing."""
    parts = urlsplit(http._url)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    slow.connect((parts.hostname, parts.port))
    key = http.session.headers["Authorization"]
    slow.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
    return slow


def _resident(pid: int) -> int:
    """MB."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmRSS"))


async def test_who_does_not_read_takes_no_memory_and_holds_up_nobody(serving: Serving, http: Http) -> None:
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    code = "with open('large', 'wb') as f: f.truncate(900 << 20)\nprint('x' * 3_000_000)"
    _, events = await http("POST", "/v1/sandboxes/box/executions", {"code": code})
    assert events[-1]["status"] == "ok"
    before = _resident(serving.pid)
    paths = ("/v1/sandboxes/box/files/large", "/v1/sandboxes/box/executions/1/events")
    slow = [_slow(http, path) for path in paths * 4]
    for _ in range(20):
        _, events = await http("POST", "/v1/sandboxes/box/executions", {"code": "1"})
        assert events[-1]["status"] == "ok"
    assert _resident(serving.pid) - before < 250, "four readers of 900 MB may not cost more than what is under way"
    for one in slow:
        one.close()
    assert (await http("GET", "/v1/sandboxes/box/files/large", headers={"Range": "bytes=-5"})) == (206, bytes(5))


async def test_a_watch_ends_with_its_client(serving: Serving, http: Http) -> None:
    assert (await http("POST", "/v1/sandboxes", {"id": "box"}))[0] == 201
    async with http.open("GET", "/v1/sandboxes/box/watch") as response:
        await response.content.readline()
        response.close()
    await _running_falls_to(http, 0)


async def _running_falls_to(http: Http, number: int) -> None:
    async with asyncio.timeout(30):
        while True:
            _, text = await http("GET", "/metrics")
            if f"sandbox_answers_running {number}.0".encode() in text:
                return


async def test_many_clients_at_once(serving: Serving) -> None:
    key = serving.key()
    boxes = await asyncio.gather(*(RemoteSandbox(serving.url, key).start() for _ in range(8)))
    results: list[Any] = await asyncio.gather(*(box.run(f"{n}; {n}") for box in boxes for n in range(25)))
    assert [result.text for result in results] == [str(n) for _ in boxes for n in range(25)]
    await asyncio.gather(*(box.delete() for box in boxes))


async def test_what_is_uploaded_is_not_kept_in_memory(serving: Serving, tmp_path: Path) -> None:
    """The answers are, for whoever asks for them again; what they answer is on the disk."""
    local = tmp_path / "large"
    local.write_bytes(os.urandom(1 << 20) * 96)
    async with RemoteSandbox(serving.url, serving.key()) as box:
        await box.files.write("warm", b"x" * 3_000_000)
        before = _resident(serving.pid)
        await box.files.upload(local, "large")
        assert (await box.files.stat("large")).size == 96 << 20
        assert _resident(serving.pid) - before < 40
        await box.delete()
