"""The HTTP API for people."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from typing import Any

import aiohttp
import pytest
import yarl

from .conftest import Http

BOX = "/v1/sandboxes/box"
pytestmark = pytest.mark.asyncio


@pytest.fixture
async def box(http: Http) -> Http:
    status, made = await http("POST", "/v1/sandboxes", {"id": "box", "options": {"name": "label"}})
    assert (status, made["id"]) == (201, "box"), made
    return http


async def run(http: Http, code: str, **more: Any) -> list[Any]:
    status, events = await http("POST", f"{BOX}/executions", {"code": code}, **more)
    assert status == 200, events
    return list(events)


async def test_a_sandbox_is_made_listed_stopped_started_and_deleted(http: Http) -> None:
    status, made = await http("POST", "/v1/sandboxes", {})
    assert status == 201
    assert made["enforced"]
    path = f"/v1/sandboxes/{made['id']}"
    _, listed = await http("GET", "/v1/sandboxes")
    assert [(one["id"], one["state"]) for one in listed["sandboxes"]] == [(made["id"], "ready")]
    assert await http("POST", f"{path}/stop") == (200, {"event": "done"})
    assert (await http("GET", path))[1]["state"] == "stopped"
    assert (await http("POST", f"{path}/executions", {"code": "1"}))[0] == 409
    assert (await http("POST", f"{path}/start"))[0] == 200
    assert (await http("GET", path))[1]["state"] == "ready"
    assert await http("DELETE", path) == (200, {"event": "done"})
    assert (await http("GET", path))[0] == 404


async def test_an_execution_is_lines_of_events_with_its_number_first(box: Http) -> None:
    events = await run(box, "print('a'); 6 * 7")
    kinds = list(dict.fromkeys(one["event"] for one in events))
    assert kinds == ["execution_started", "output", "result", "execution_finished"]
    assert (events[0]["number"], events[-2]["data"]["text/plain"]) == (1, "42")
    assert "".join(one.get("text", "") for one in events) == "a\n"
    assert events[-1]["status"] == "ok"


async def test_events_come_while_the_code_runs(box: Http) -> None:
    code = "print('first', flush=True)\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"
    async with box.open("POST", f"{BOX}/executions", json={"code": code}) as response:
        lines = [await response.content.readline() for _ in range(2)]
        assert b"first" in lines[1]
        assert (await box("PUT", f"{BOX}/files/go", data=b""))[0] == 201
        assert b"execution_finished" in await response.content.read()


async def test_a_lost_answer_is_taken_up_by_the_number_of_the_execution(box: Http) -> None:
    events = await run(box, "for n in range(5): print(n, flush=True)")
    path = f"{BOX}/executions/{events[0]['number']}/events"
    assert await box("GET", path) == (200, events)
    assert await box("GET", f"{path}?after=2") == (200, events[2:])
    assert await box("GET", f"{path}?after={len(events)}") == (200, [])
    assert (await box("GET", f"{BOX}/executions/99/events"))[0] == 404


async def test_an_execution_goes_on_without_its_client(box: Http) -> None:
    code = "print('on', flush=True)\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('end')"
    async with box.open("POST", f"{BOX}/executions", json={"code": code}) as response:
        await response.content.readline()
        response.close()
    await box("PUT", f"{BOX}/files/go", data=b"")
    _, events = await box("GET", f"{BOX}/executions/1/events")
    assert "".join(one.get("text", "") for one in events) == "on\nend\n"
    assert events[-1]["status"] == "ok"


async def test_an_attached_execution_ends_with_its_client(box: Http) -> None:
    code = "print('on', flush=True)\nimport time\nwhile True: time.sleep(0.01)"
    async with box.open("POST", f"{BOX}/executions?attached=true", json={"code": code, "timeout": None}) as response:
        await response.content.readline()
        response.close()
    _, events = await box("GET", f"{BOX}/executions/1/events")
    assert events[-1]["status"] == "interrupted"


async def test_the_same_request_twice_is_carried_out_once(box: Http) -> None:
    headers = {"Idempotency-Key": "mine"}
    first = await run(box, "x = globals().get('x', 0) + 1; x", headers=headers)
    assert await run(box, "x = globals().get('x', 0) + 1; x", headers=headers) == first
    assert (await run(box, "x"))[1]["data"]["text/plain"] == "1"


async def test_a_command_is_given_its_input_and_a_signal(box: Http) -> None:
    async with box.open("POST", f"{BOX}/commands", json={"argv": ["cat"], "stdin": True}) as response:
        started = await response.content.readline()
        number = int(started.split(b'"command":')[1].rstrip(b"}\n"))
        data = base64.b64encode(b"hello").decode()
        assert (await box("POST", f"{BOX}/commands/{number}/stdin", {"data": data, "close": True}))[0] == 200
        rest = await response.content.read()
    assert b"hello" in rest
    assert b'"exit_code":0' in rest
    async with box.open("POST", f"{BOX}/commands", json={"argv": ["sleep", "1000"]}) as response:
        number = int((await response.content.readline()).split(b'"command":')[1].rstrip(b"}\n"))
        assert (await box("POST", f"{BOX}/commands/{number}/signal", {"signal": 15}))[0] == 200
        assert b'"exit_code":-15' in await response.content.read()


async def test_a_file_goes_up_and_down_and_a_range_of_it(box: Http) -> None:
    content = os.urandom(3_000_000)
    status, written = await box("PUT", f"{BOX}/files/a/b.bin", data=content)
    assert (status, written) == (201, {"path": "a/b.bin", "size": len(content)})
    assert await box("GET", f"{BOX}/files/a/b.bin") == (200, content)
    for header, expected in (
        ("bytes=5-9", content[5:10]),
        ("bytes=2999990-", content[-10:]),
        ("bytes=-7", content[-7:]),
    ):
        assert await box("GET", f"{BOX}/files/a/b.bin", headers={"Range": header}) == (206, expected)
    assert box.headers["content-range"] == f"bytes 2999993-2999999/{len(content)}"
    assert (await box("GET", f"{BOX}/files/a/b.bin", headers={"Range": "bytes=3000000-"}))[0] == 416
    assert await box("GET", f"{BOX}/files/a/b.bin", headers={"Range": "lines=1-2"}) == (200, content)
    _, listed = await box("GET", f"{BOX}/list?recursive=true")
    assert [one["path"] for one in listed["entries"]] == ["a", "a/b.bin"]
    assert (await box("DELETE", f"{BOX}/files/a?recursive=true"))[0] == 200
    assert (await box("GET", f"{BOX}/files/a/b.bin"))[0] == 404


async def test_an_upload_that_breaks_off_leaves_nothing(box: Http) -> None:
    async def half() -> Any:
        yield bytes(1_500_000)
        raise ConnectionResetError

    with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
        await box("PUT", f"{BOX}/files/half", data=half())
    for _ in range(200):
        _, listed = await box("GET", f"{BOX}/list?recursive=true")
        if not listed["entries"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(listed)


async def test_more_than_the_disk_holds_is_refused(http: Http) -> None:
    await http("POST", "/v1/sandboxes", {"id": "box", "options": {"disk": 2}})
    status, answer = await http("PUT", f"{BOX}/files/large", data=bytes(3 << 20))
    assert (status, answer["error"]["code"]) == (400, "usage")
    assert "disk=2 MB" in answer["error"]["message"]


async def test_an_artifact_is_listed_fetched_and_removed(box: Http) -> None:
    await run(box, "import os; os.mkdir('artifacts'); open('artifacts/t.csv', 'w').write('a,b')")
    _, listed = await box("GET", f"{BOX}/artifacts")
    (one,) = listed["artifacts"]
    assert (one["id"], one["path"], one["mime"]) == ("1/t.csv", "", "text/csv")
    assert await box("GET", f"{BOX}/artifacts/1/t.csv") == (200, b"a,b")
    assert box.headers["content-type"] == "application/octet-stream"
    assert await box("GET", f"{BOX}/artifacts/1/t.csv", headers={"Range": "bytes=2-2"}) == (206, b"b")
    assert (await box("GET", f"{BOX}/artifacts/1/none"))[0] == 404
    assert len((await box("DELETE", f"{BOX}/artifacts/1/t.csv"))[1]["artifacts"]) == 1
    assert (await box("GET", f"{BOX}/artifacts"))[1]["artifacts"] == []


async def test_time_travel(box: Http) -> None:
    await run(box, "x = 1")
    assert (await box("POST", f"{BOX}/checkpoints", {"label": "good"}))[0] == 200
    await run(box, "x = 2")
    assert (await box("GET", f"{BOX}/diff?old=1&new=2"))[1]["variables"]["changed"] == ["x"]
    assert (await box("POST", f"{BOX}/fork", {"ids": ["other"]}))[0] == 200
    assert (await box("POST", f"{BOX}/rollback", {"label": "good"}))[0] == 200
    assert (await run(box, "x"))[1]["data"]["text/plain"] == "1"
    _, events = await box("POST", "/v1/sandboxes/other/executions", {"code": "x"})
    assert events[1]["data"]["text/plain"] == "2"
    assert [one["name"] for one in (await box("GET", f"{BOX}/variables"))[1]["variables"]] == ["x"]
    status, notebook = await box("GET", f"{BOX}/export?format=notebook")
    assert (status, notebook[:1]) == (200, b"{")
    assert [one["code"] for one in (await box("GET", f"{BOX}/executions?limit=1"))[1]["records"]] == ["x"]
    assert (await box("GET", f"{BOX}/metrics"))[1]["values"]["executions"] == 3


async def test_changes_of_files_are_told_as_they_happen(box: Http) -> None:
    async with box.open("GET", f"{BOX}/watch") as response:
        assert b"watching" in await response.content.readline()
        await box("PUT", f"{BOX}/files/new", data=b"1")
        seen = b""
        while b'"new"' not in seen:
            seen += await response.content.readline()
        response.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/sandboxes/none", None, 404),
        ("POST", "/v1/sandboxes/none/executions", {"code": "1"}, 409),
        ("GET", "/v1/sandboxes/a%2F..%2Fb", None, 404),
        ("POST", "/v1/sandboxes/%2e%2e/executions", {"code": "1"}, 400),
        ("POST", "/v1/sandboxes/" + "a" * 200 + "/executions", {"code": "1"}, 400),
        ("POST", "/v1/sandboxes", {"id": "../../etc"}, 400),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"memory": -1}}, 400),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"output": 1000}}, 400),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"memry": 1}}, 400),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"files": [{"target": "/etc", "path": "/etc"}]}}, 403),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"network": "host"}}, 403),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"isolation": "none"}}, 403),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"without": ["seccomp"]}}, 403),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"environment": {"packages": ["six"]}}}, 403),
        ("POST", "/v1/sandboxes", {"id": "x", "options": {"environment": {"path": "/root"}}}, 403),
        ("GET", f"{BOX}/files/..%2F..%2Fetc%2Fpasswd", None, 400),
        ("GET", f"{BOX}/files//etc/passwd", None, 400),
        ("GET", f"{BOX}/files/none", None, 404),
        ("GET", f"{BOX}/artifacts/..%2F..%2F..%2Fserver%2Fserver.db", None, 404),
        ("POST", f"{BOX}/executions", {"code": "1", "session": "other"}, 400),
        ("POST", f"{BOX}/executions", {"code": "1", "tymeout": 1}, 400),
        ("POST", f"{BOX}/executions", {"code": "1", "timeout": -5}, 400),
        ("POST", f"{BOX}/executions", {"code": 5}, 400),
        ("POST", f"{BOX}/commands", {"argv": ["a\0b"]}, 400),
        ("POST", f"{BOX}/rollback", {"checkpoint": 77}, 404),
        ("GET", f"{BOX}/diff?old=x&new=1", None, 400),
        ("GET", f"{BOX}/list?color=red", None, 400),
        ("PATCH", BOX, None, 405),
        ("GET", "/v9/sandboxes", None, 404),
    ],
)
async def test_what_cannot_be_is_an_error_with_a_code(
    box: Http, method: str, path: str, body: object, status: int
) -> None:
    async with box.session.request(method, yarl.URL(f"{box._url}{path}", encoded=True), json=body) as response:
        answer = await response.json()
    assert (response.status, bool(answer["error"]["code"])) == (status, True), answer
    assert "Traceback" not in answer["error"]["message"]


async def test_a_body_that_is_too_long_is_refused(box: Http) -> None:
    status, answer = await box("POST", f"{BOX}/executions", data=b'{"code": "' + bytes(21 << 20))
    assert (status, answer["error"]["code"]) == (413, "usage")


async def test_a_request_has_an_id_that_the_audit_log_has_too(box: Http, serving: Any) -> None:
    await run(box, "1 / 0", headers={"X-Request-Id": "from-the-caller"})
    assert box.headers["x-request-id"] == "from-the-caller"
    (line,) = [one for one in serving.audit if one["request"] == "from-the-caller"]
    assert (line["do"], line["outcome"], line["execution"], line["session"]) == ("run", "error", 1, "box")
    assert "code" not in line
    assert len(line["code_sha256"]) == 64


async def test_one_id_finds_a_request_in_logs_and_in_the_sessions_record(box: Http, serving: Any) -> None:
    mine = {"X-Request-Id": "find-me:1"}
    *_, end = await run(box, "import os; os.kill(os.getpid(), 9)", headers=mine)
    assert (end["status"], end["request_id"]) == ("crashed", "find-me:1")
    _, history = await box("GET", f"{BOX}/executions")
    assert [one["request_id"] for one in history["records"]] == ["find-me:1"]
    (line,) = [one for one in serving.lines if one.get("request") == "find-me:1"]
    assert (line["logger"], line["level"]) == ("sandbox.engine", "info")
    assert "lost its worker in execution 1" in line["message"]
    assert [one["do"] for one in serving.audit if one["request"] == "find-me:1"] == ["run"]


async def test_a_refused_request_says_the_id_under_which_the_log_has_it(box: Http, serving: Any) -> None:
    status, answer = await box("GET", "/v1/sandboxes/none", headers={"X-Request-Id": "find-me:2"})
    assert (status, answer["error"]["request_id"]) == (404, "find-me:2")
    (line,) = [one for one in serving.lines if one.get("request") == "find-me:2"]
    assert line["message"] == "GET /v1/sandboxes/none: there is no sandbox 'none'"


@pytest.mark.parametrize("given", ["", "a" * 101, "a b", 'x"\\', "\xe4"])
async def test_an_id_that_is_no_plain_word_is_not_taken(box: Http, given: str) -> None:
    _, answer = await box("GET", "/v1/sandboxes/none", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{16}", answer["error"]["request_id"])
    assert box.headers["x-request-id"] == answer["error"]["request_id"]


async def test_metrics_count(box: Http) -> None:
    await run(box, "1")
    _, text = await box("GET", "/metrics")
    assert b'sandbox_executions_total{cause="",status="ok"}' in text
    assert b'sandbox_sandboxes{state="ready"}' in text
