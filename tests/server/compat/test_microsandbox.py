"""microsandbox 0.1.8, and the remote sandboxes of another project that speak as it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.compat.conftest import published
from tests.serving import Serving

_HERE = Path(__file__).parent


def _run(program: str, package: Path, serving: Serving, key: str) -> dict[str, Any]:
    environment = {
        **os.environ, "PYTHONPATH": str(package), "MSB_SERVER_URL": serving.url, "MSB_API_KEY": key,
        "PYTHONWARNINGS": "default",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(_HERE / program)], env=environment, cwd=package, capture_output=True, text=True,
        timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def cache(request: pytest.FixtureRequest) -> Path:
    assert request.config.cache is not None
    return request.config.cache.mkdir("published")


def test_the_published_client_works(serving: Serving, key: str, cache: Path) -> None:
    seen = _run("microsandbox_user.py", published("microsandbox==0.1.8", cache), serving, key)
    wrong = seen.pop("key")
    assert seen == {
        "run": ["a\nb\n21", False, "success", "python"], "bad": [True, "error", True],
        "command": ["out", "err", 3, False], "late": [124, False], "metrics": ["kept", "default", True, True],
        "disk": True, "again": "20", "other": True, "node": ["hello\n'1,2,3'", "success", True, True],
    }  # fmt: skip
    assert "not one of this server's" in wrong


def test_the_earlier_remote_sandbox_works(serving: Serving, key: str, cache: Path) -> None:
    seen = _run("upstream_user.py", published("sandbox-mcp==0.4.0", cache), serving, key)
    assert seen == {
        "run": ["seen\n42", False, "success"], "command": [[".", ".."], 0, False], "metrics": ["remote", True],
        "node": ["Hello from Node.js", "success"],
    }  # fmt: skip


async def _call(serving: Serving, key: str | None, method: str, params: object, **more: Any) -> tuple[int, Any]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = json.dumps({"jsonrpc": "2.0", "id": "1", "method": method, "params": params, **more}).encode()
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{serving.url}/api/v1/rpc", data=body) as answer,
    ):
        text = await answer.read()
        return answer.status, json.loads(text) if text else None


_BOX = {"namespace": "default", "sandbox": "box"}


async def test_nobody_reaches_anothers_sandbox(serving: Serving, key: str) -> None:
    assert (await _call(serving, key, "sandbox.start", _BOX))[1]["result"] == "Sandbox box started successfully"
    assert (await _call(serving, None, "sandbox.repl.run", {**_BOX, "code": "1"}))[0] == 401
    other = serving.key()
    for method, params in (
        ("repl.run", {"code": "1"}),
        ("command.run", {"command": "true"}),
        ("stop", {}),
        ("metrics.get", {}),
    ):
        _, answer = await _call(serving, other, f"sandbox.{method}", {**_BOX, **params})
        assert "result" not in answer
        assert "box" in answer["error"]["message"]
    assert (await _call(serving, other, "sandbox.metrics.get", {}))[1]["result"] == {"sandboxes": []}
    assert (await _call(serving, key, "sandbox.stop", _BOX))[1]["result"] == "Sandbox box stopped successfully"


async def test_options_that_clients_send_are_kept_or_refused(serving: Serving, key: str) -> None:
    config = {"image": "microsandbox/python", "memory": 300, "cpus": 1, "envs": ["A=b=c"], "volumes": [], "ports": None}
    named = {**_BOX, "sandbox": "options", "config": config}
    assert "result" in (await _call(serving, key, "sandbox.start", named))[1]
    code = "import os; os.environ['A']"
    run = {**_BOX, "sandbox": "options", "code": code, "language": "python", "timeout": 10}
    assert (await _call(serving, key, "sandbox.repl.run", run))[1]["result"]["output"] == [
        {"stream": "stdout", "text": "'b=c'"}
    ]
    for more in ({"volumes": ["/etc:/etc"]}, {"ports": ["80:80"]}, {"envs": ["A"]}, {"memory": 1}, {"memory": "much"}):
        _, answer = await _call(serving, key, "sandbox.start", {**_BOX, "sandbox": "no", "config": {**config, **more}})
        assert answer["error"]["message"]
    assert "result" in (await _call(serving, key, "sandbox.stop", {**_BOX, "sandbox": "options"}))[1]


@pytest.mark.usefixtures("node")
async def test_an_image_of_node_runs_javascript(serving: Serving, key: str) -> None:
    box = {**_BOX, "sandbox": "js"}
    started = await _call(serving, key, "sandbox.start", {**box, "config": {"image": "microsandbox/node"}})
    assert started[1]["result"] == "Sandbox js started successfully"
    for language, code, shown in (
        ("javascript", "const x = 20", []),
        ("nodejs", "console.log(x); x + 1", ["20", "21"]),
    ):
        _, answer = await _call(serving, key, "sandbox.repl.run", {**box, "language": language, "code": code})
        assert [line["text"] for line in answer["result"]["output"]] == shown
    for language, why in (("python", "cannot run it"), ("cobol", "not one of")):
        _, answer = await _call(serving, key, "sandbox.repl.run", {**box, "language": language, "code": "1"})
        assert why in answer["error"]["message"]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("sandbox.nothing", {}, -32601),
        ("sandbox.start", {"sandbox": "../up", "namespace": "default"}, -32602),
        ("sandbox.start", {"sandbox": "ok", "namespace": "a.b"}, -32602),
        ("sandbox.start", [1], -32602),
        ("sandbox.repl.run", {**_BOX, "code": 1}, -32602),
        ("sandbox.repl.run", {**_BOX, "sandbox": "missing", "code": "1"}, -32000),
    ],
)
async def test_what_cannot_be_is_an_error_of_json_rpc(
    serving: Serving, key: str, method: str, params: object, code: int
) -> None:
    status, answer = await _call(serving, key, method, params)
    assert (status, answer["error"]["code"], answer["id"]) == (200, code, "1")
    assert "result" not in answer


async def test_other_forms_of_calls_are_answered(serving: Serving, key: str) -> None:
    assert (await _call(serving, key, "sandbox.metrics.get", {}, jsonrpc="1.0"))[1]["error"]["code"] == -32600
    assert await _call(serving, key, "sandbox.metrics.get", {}, id=None) == (200, None)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{serving.url}/api/v1/health") as answer:
            assert await answer.json() == {"message": "Service is healthy"}
        async with session.post(f"{serving.url}/api/v1/rpc", data=b"\xff{") as answer:
            assert "error" in await answer.json()
