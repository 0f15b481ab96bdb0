"""Every tool with good and with bad input, called by the official client of a server in this process."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import jsonschema
import pytest
from tests.mcp.conftest import Connected, Serve, text_of
from tests.mcp.golden import told

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()"
MAKE = "import os\nos.makedirs('artifacts', exist_ok=True)\n"
SCHEMAS = {tool["name"]: tool["outputSchema"] for tool in told()}


async def _checked(box: Connected, name: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer, which is what its schema says."""
    data = await box.data(name, **arguments)
    jsonschema.validate(data, SCHEMAS[name])
    return data


# --- execute --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_execute_returns_output_and_value_and_keeps_variables(serve: Serve, mode: str) -> None:
    async with serve(mode=mode) as box:
        first = await _checked(box, "execute", code="x = 41\nprint('hello')\nx + 1")
        assert (first["stdout"], first["result"], first["status"], first["execution"]) == ("hello\n", "42", "ok", 1)
        second = await box.call("execute", code="x")
        assert text_of(second).startswith("41\n[execution 2, ok, ")


@pytest.mark.usefixtures("node")
async def test_javascript_has_a_session_of_its_own_beside_python_s(connected: Connected) -> None:
    await connected.data("execute", code="x = 'python'")
    code = "const x = { n: 41 }; console.log('hello'); x.n + 1"
    first = await connected.data("execute", code=code, language="javascript")
    assert (first["stdout"], first["result"]) == ("hello\n", "42")
    assert first["session_id"].endswith("-js")
    assert (await connected.data("execute", code="x"))["result"] == "'python'"
    assert (await connected.data("execute", code="x.n", language="javascript"))["result"] == "41"
    await connected.data("write_file", path="a.txt", content="inside", session_id=first["session_id"])
    read = "require('fs').readFileSync('a.txt', 'utf8')"
    assert (await connected.data("execute", code=read, language="javascript"))["result"] == "'inside'"
    assert "javascript" in await connected.refused("execute", code="1", session_id=first["session_id"])


async def test_a_traceback_is_an_error_that_a_model_can_read(connected: Connected) -> None:
    result = await connected.call("execute", code="kept = 1\nprint('before')\n1 / 0")
    assert result.is_error
    jsonschema.validate(result.structured_content, SCHEMAS["execute"])
    assert result.structured_content["error"]["type"] == "ZeroDivisionError"
    text = text_of(result)
    assert text.startswith("before\nTraceback (most recent call last):")
    assert "ZeroDivisionError: division by zero" in text
    assert (await connected.data("execute", code="kept"))["result"] == "1"


async def test_a_limit_names_its_cause_and_remedy_and_keeps_the_variables(connected: Connected) -> None:
    await connected.data("execute", code="x = 1")
    result = await connected.call("execute", code="while True: pass", timeout=0.3)
    assert result.is_error
    assert result.structured_content["cause"]["kind"] == "timeout"
    assert result.structured_content["cause"]["remedy"] in text_of(result)
    assert (await connected.data("execute", code="x"))["result"] == "1"


async def test_the_servers_own_time_limit_is_for_who_names_none(serve: Serve) -> None:
    async with serve(timeout=0.3) as box:
        assert "timeout" in await box.refused("execute", code="while True: pass")
        assert "timeout" in await box.refused("shell_execute", command="sleep 60")


async def test_a_process_that_was_ended_says_what_became_of_the_variables(connected: Connected) -> None:
    await connected.data("execute", code="x = 1")
    result = await connected.call("execute", code="x = 2\nimport os\nos._exit(1)")
    assert result.structured_content["state"] == "restored"
    assert f"the variables are those of execution {result.structured_content['restored_to']}" in text_of(result)
    assert (await connected.data("execute", code="x"))["result"] == "1"


async def test_figures_are_images_and_artifacts(connected: Connected) -> None:
    result = await connected.call("execute", code=PLOT)
    (image,) = [block for block in result.content if block.type == "image"]
    assert image.mime_type == "image/png"
    assert base64.b64decode(image.data).startswith(b"\x89PNG")
    (artifact,) = result.structured_content["artifacts"]
    assert artifact["uri"].endswith("/1/figure-1.png")
    assert artifact["uri"] in text_of(result)


async def test_files_below_artifacts_are_links(connected: Connected) -> None:
    code = MAKE + "open('artifacts/a table.csv', 'w').write('a,b\\n' * 3)"
    result = await connected.call("execute", code=code)
    (link,) = [block for block in result.content if block.type == "resource_link"]
    assert (link.name, link.mime_type, link.size) == ("a table.csv", "text/csv", 12)
    (content,) = (await connected.client.read_resource(link.uri)).contents
    assert content.text == "a,b\n" * 3  # type: ignore[union-attr]


async def test_what_only_claims_to_be_an_image_is_a_link(connected: Connected) -> None:
    code = MAKE + "open('artifacts/x.png', 'w').write('not an image')"
    result = await connected.call("execute", code=code)
    assert [block.type for block in result.content] == ["text", "resource_link"]


async def test_images_that_are_too_large_for_an_answer_are_links(connected: Connected) -> None:
    code = MAKE + "open('artifacts/x.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + bytes(800_000))"
    result = await connected.call("execute", code=code)
    assert [block.type for block in result.content] == ["text", "resource_link"]


async def test_long_output_is_cut_and_the_rest_can_be_read(connected: Connected) -> None:
    result = await connected.call("execute", code="for i in range(20_000): print('line', i)")
    text = text_of(result)
    assert len(text) < 25_000
    assert text.startswith("line 0\n")
    assert "line 19999\n" in text
    assert "characters are left out here" in text
    uri = result.structured_content["output_uri"]
    (whole,) = (await connected.client.read_resource(uri)).contents
    assert whole.text == "".join(f"line {i}\n" for i in range(20_000))  # type: ignore[union-attr]
    middle = await _checked(connected, "read_file", path=uri, offset=100_000, length=50)
    assert middle["content"] == whole.text[100_000:100_050]  # type: ignore[union-attr]


@pytest.mark.parametrize("code", ["print('\\ud800')", "raise ValueError('\\udfff')", "'\\ud800'"])
async def test_halves_of_characters_do_no_harm(connected: Connected, code: str) -> None:
    await connected.call("execute", code=code)
    assert (await connected.data("execute", code="1"))["result"] == "1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "missing argument `code`"),
        ({"code": 1}, "argument code: expected a text, got a whole number"),
        ({"code": "1", "cod": "2"}, "there is no argument `cod`"),
        ({"code": "1", "timeout": -1}, "argument timeout: expected a number > 0.0"),
        ({"code": "1", "session_id": "../x"}, "cannot be a session's id"),
        ({"code": "1", "session_id": "x" * 200}, "cannot be a session's id"),
    ],
)
async def test_bad_arguments_are_explained(connected: Connected, arguments: dict[str, Any], said: str) -> None:
    text = await connected.refused("execute", **arguments)
    assert said in text
    if "session_id" not in arguments:
        assert "It takes: code (required), language, session_id, timeout" in text


async def test_null_is_what_is_left_out_and_numbers_may_be_text(connected: Connected) -> None:
    data = await connected.data("execute", code="1", session_id=None, timeout="20")
    assert data["result"] == "1"


async def test_an_unknown_tool_is_named_with_those_that_there_are(connected: Connected) -> None:
    with pytest.raises(Exception, match="there is no tool 'run'; there are: execute, shell_execute"):
        await connected.call("run", code="1")


# --- shell ----------------------------------------------------------------------------------------------------------


async def test_shell_works_on_the_same_files(connected: Connected) -> None:
    here = await connected.data("execute", code="import os; open('a.txt', 'w').write('x\\ny\\n'); os.getcwd()")
    data = await _checked(connected, "shell_execute", command="wc -l < a.txt && pwd")
    assert data["stdout"].split() == ["2", here["result"].strip("'")]
    assert (data["exit_code"], data["session_id"]) == (0, (await connected.data("execute", code="1"))["session_id"])


async def test_a_commands_own_exit_code_is_no_error_of_the_tool(connected: Connected) -> None:
    data = await connected.data("shell_execute", command="echo no >&2; exit 3")
    assert (data["exit_code"], data["stderr"]) == (3, "no\n")


async def test_a_command_is_stopped_by_its_time_limit(connected: Connected) -> None:
    result = await connected.call("shell_execute", command="echo begun; sleep 60", timeout=0.5)
    assert result.is_error
    assert result.structured_content["cause"]["kind"] == "timeout"
    assert text_of(result).startswith("begun\n")


async def test_a_directory_that_the_sandbox_does_not_see_is_explained(connected: Connected) -> None:
    assert (await connected.data("shell_execute", command="pwd", working_directory="/tmp"))["stdout"] == "/tmp\n"
    text = await connected.refused("shell_execute", command="pwd", working_directory="/home/somebody")
    assert "/home/somebody" in text
    assert "Programs see the workspace" in text


async def test_words_are_not_filtered(connected: Connected) -> None:
    data = await connected.data("shell_execute", command="echo information; cat /etc/shadow; rm -rf /usr/bin/env; :")
    assert data["stdout"] == "information\n"
    assert "Permission denied" in data["stderr"] or "No such file" in data["stderr"]


# --- files ----------------------------------------------------------------------------------------------------------


async def test_files_are_written_listed_and_read(connected: Connected) -> None:
    written = await _checked(connected, "write_file", path="data/ä.txt", content="grüße\n")
    assert written["size"] == 8
    listed = await _checked(connected, "list_files", recursive=True)
    assert [(one["path"], one["kind"]) for one in listed["files"]] == [("data", "directory"), ("data/ä.txt", "file")]
    read = await _checked(connected, "read_file", path="data/ä.txt")
    assert (read["content"], read["encoding"], read["size"]) == ("grüße\n", "utf-8", 8)
    assert "next_offset" not in read


async def test_long_files_come_in_parts_that_end_between_characters(connected: Connected) -> None:
    await connected.data("write_file", path="long", content="ä" * 100)
    offset: int | None = 0
    parts = []
    while offset is not None:
        part = await _checked(connected, "read_file", path="long", offset=offset, length=33)
        parts.append(part["content"])
        offset = part.get("next_offset")
    assert "".join(parts) == "ä" * 100


async def test_bytes_go_and_come_as_base64(connected: Connected) -> None:
    data = base64.b64encode(bytes(range(256))).decode()
    await connected.data("write_file", path="b", content=data, encoding="base64")
    read = await _checked(connected, "read_file", path="b")
    assert (read["content"], read["encoding"]) == (data, "base64")


async def test_an_image_is_read_as_one(connected: Connected) -> None:
    await connected.data("execute", code=PLOT + "\nplt.plot([1])\nplt.savefig('x.dat', format='png')\nplt.close()")
    result = await connected.call("read_file", path="x.dat")
    assert [block.type for block in result.content] == ["text", "image"]
    (listed,) = (await connected.data("list_artifacts"))["artifacts"][:1]
    result = await connected.call("read_file", path=listed["uri"])
    assert [block.type for block in result.content] == ["text", "image"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("read_file", {"path": "none"}, "list_files shows what there is"),
        ("read_file", {"path": "."}, "is a directory"),
        ("read_file", {"path": "../../etc/passwd"}, "etc/passwd"),
        ("read_file", {"path": ""}, "argument path"),
        ("read_file", {"path": "sandbox://nonsense"}, "is no address here"),
        ("read_file", {"path": "sandbox://artifacts/other/1/x.png"}, "has no artifact '1/x.png'"),
        ("read_file", {"path": "sandbox://output/other/1"}, "is not kept any more"),
        ("write_file", {"path": "x/", "content": ""}, "names a directory"),
        ("write_file", {"path": "../x", "content": ""}, "../x"),
        ("write_file", {"path": "x", "content": "?", "encoding": "base64"}, "is not base64"),
        ("list_files", {"path": "none"}, "none"),
    ],
)
async def test_files_that_cannot_be(connected: Connected, tool: str, arguments: dict[str, Any], said: str) -> None:
    assert said in await connected.refused(tool, **arguments)


# --- artifacts ------------------------------------------------------------------------------------------------------


async def test_artifacts_are_listed_and_removed_by_kind_and_age(connected: Connected) -> None:
    assert (await _checked(connected, "list_artifacts"))["artifacts"] == []
    await connected.data("execute", code=PLOT)
    await connected.data("execute", code=MAKE + "open('artifacts/t.txt', 'w').write('text')")
    listed = await _checked(connected, "list_artifacts")
    assert [one["name"] for one in listed["artifacts"]] == ["figure-1.png", "t.txt"]
    assert (await _checked(connected, "cleanup_artifacts", older_than_hours=1))["removed"] == []
    cleaned = await _checked(connected, "cleanup_artifacts", kind="image")
    assert (cleaned["removed"], cleaned["kept"]) == (["1/figure-1.png"], 1)
    assert (await _checked(connected, "cleanup_artifacts"))["removed"] == ["2/t.txt"]
    assert (await connected.data("list_artifacts"))["artifacts"] == []
    assert (await connected.data("read_file", path="artifacts/t.txt"))["content"] == "text"


async def test_cleaning_up_refuses_a_kind_that_there_is_not(connected: Connected) -> None:
    refused = await connected.refused("cleanup_artifacts", kind="pictures")
    assert "invalid enum value 'pictures'; it is one of 'all', 'audio', 'image'," in refused
    assert "argument older_than_hours" in await connected.refused("cleanup_artifacts", older_than_hours=-1)


# --- the timeline ---------------------------------------------------------------------------------------------------


async def test_the_timeline_shows_executions_and_variables(connected: Connected) -> None:
    await connected.data("execute", code="x = [1, 2]\ny = 'text'")
    await connected.call("execute", code="1 / 0")
    timeline = await _checked(connected, "session_timeline")
    assert [(one["execution"], one["status"], one["restorable"]) for one in timeline["executions"]] == [
        (1, "ok", True),
        (2, "error", True),
    ]
    assert timeline["executions"][1]["error"] == "ZeroDivisionError: division by zero"
    assert [(one["name"], one["type"]) for one in timeline["variables"]] == [("x", "list"), ("y", "str")]
    assert timeline["current"] == 2


async def test_going_back_restores_variables_and_files(connected: Connected) -> None:
    await connected.data("execute", code="x = 1; open('a', 'w').write('one');")
    await connected.data("execute", code="x = 2; open('a', 'w').write('two'); z = 3")
    restored = await _checked(connected, "restore_checkpoint", execution=1)
    assert [one["name"] for one in restored["variables"]] == ["x"]
    data = await connected.data("execute", code="x, open('a').read(), 'z' in globals()")
    assert data["result"] == "(1, 'one', False)"
    assert (await connected.data("session_timeline"))["current"] == 3
    await connected.data("restore_checkpoint", execution=2)
    assert (await connected.data("execute", code="x"))["result"] == "2"
    await connected.data("restore_checkpoint", execution=0)
    assert "NameError" in await connected.refused("execute", code="x")


async def test_going_back_to_what_there_is_not(connected: Connected) -> None:
    await connected.data("execute", code="1")
    assert "session_timeline shows" in await connected.refused("restore_checkpoint", execution=99)
    assert "execution" in await connected.refused("restore_checkpoint", execution=-1)


async def test_a_written_file_outlives_a_restart_and_is_gone_after_going_back(connected: Connected) -> None:
    await connected.data("execute", code="1")
    await connected.data("write_file", path="later", content="x")
    timeline = await connected.data("session_timeline")
    assert timeline["current"] == 1
    await connected.data("restore_checkpoint", execution=1)
    assert (await connected.data("list_files"))["files"] == []


async def test_a_fork_begins_alike_and_is_independent(connected: Connected) -> None:
    await connected.data("execute", code="x = 1")
    forked = await _checked(connected, "fork_session", new_session_id="beside")
    assert forked["execution"] == 1
    await connected.data("execute", code="x = 2", session_id="beside")
    assert (await connected.data("execute", code="x"))["result"] == "1"
    assert (await connected.data("execute", code="x", session_id="beside"))["result"] == "2"
    assert "already" in await connected.refused("fork_session", new_session_id="beside")
    assert "cannot be a session's id" in await connected.refused("fork_session", new_session_id="a b")
    unnamed = await connected.data("fork_session")
    assert unnamed["session_id"].startswith(f"{unnamed['forked_from']}-fork-")


# --- jobs -----------------------------------------------------------------------------------------------------------


async def test_a_job_runs_in_the_session_and_its_variables_stay(connected: Connected) -> None:
    started = await _checked(connected, "start_job", code="for i in range(3): print(i)\nx = 5\nx")
    told = await _checked(connected, "job", job_id=started["job_id"])
    assert (told["status"], told["executed"]["stdout"], told["executed"]["result"]) == ("done", "0\n1\n2\n", "5")
    assert (await connected.data("execute", code="x"))["result"] == "5"


async def test_a_session_with_a_job_says_so_and_its_files_can_be_used(connected: Connected) -> None:
    started = await connected.data("start_job", code="import time\nprint('begun', flush=True)\ntime.sleep(60)")
    job = started["job_id"]
    for tool, arguments in (
        ("execute", {"code": "1"}),
        ("fork_session", {}),
        ("restore_checkpoint", {"execution": 0}),
        ("start_job", {"code": "1"}),
    ):
        assert f"is running the job '{job}'" in await connected.refused(tool, **arguments)
    assert (await connected.data("shell_execute", command="echo free"))["stdout"] == "free\n"
    await connected.data("write_file", path="a", content="x")
    assert (await connected.data("execute", code="1", session_id="other"))["result"] == "1"
    told = await connected.data("job", job_id=job, wait=0)
    while "begun" not in told.get("output", ""):
        told = await connected.data("job", job_id=job, wait=0.05)
    assert told["status"] == "running"
    cancelled = await _checked(connected, "job", job_id=job, action="cancel")
    assert cancelled["status"] == "cancelled"
    assert (await connected.data("execute", code="time.__name__"))["result"] == "'time'"


async def test_a_shell_job_leaves_python_free(connected: Connected) -> None:
    started = await connected.data("start_job", code="echo out; sleep 60", language="shell")
    assert (await connected.data("execute", code="1"))["result"] == "1"
    assert (await connected.data("job", job_id=started["job_id"], action="cancel"))["status"] == "cancelled"
    started = await connected.data("start_job", code="echo out; exit 2", language="shell")
    told = await _checked(connected, "job", job_id=started["job_id"])
    assert (told["ran"]["exit_code"], told["ran"]["stdout"]) == (2, "out\n")


@pytest.mark.usefixtures("node")
async def test_a_job_in_javascript_runs_in_the_session_of_that_language(connected: Connected) -> None:
    code = "console.log('begun'); await new Promise((go) => setTimeout(go, 50)); const x = 41; x + 1"
    started = await connected.data("start_job", code=code, language="javascript")
    assert started["session_id"].endswith("-js")
    told = await _checked(connected, "job", job_id=started["job_id"])
    assert (told["language"], told["status"], told["executed"]["stdout"]) == ("javascript", "done", "begun\n")
    assert told["executed"]["result"] == "42"
    stuck = await connected.data("start_job", code="console.log('on'); for (;;);", language="javascript")
    assert "is running the job" in await connected.refused("execute", code="1", language="javascript")
    assert (await connected.data("execute", code="1 + 1"))["result"] == "2"
    while "on" not in (await connected.data("job", job_id=stuck["job_id"], wait=0.05)).get("output", ""):
        pass
    assert (await connected.data("job", job_id=stuck["job_id"], action="cancel"))["status"] == "cancelled"
    assert (await connected.data("execute", code="x", language="javascript"))["result"] == "41"


async def test_a_job_that_fails_tells_why(connected: Connected) -> None:
    started = await connected.data("start_job", code="1 / 0")
    result = await connected.call("job", job_id=started["job_id"])
    assert result.is_error
    assert result.structured_content["status"] == "failed"
    assert result.structured_content["executed"]["error"]["type"] == "ZeroDivisionError"
    started = await connected.data("start_job", code="while True: pass", timeout=0.2)
    result = await connected.call("job", job_id=started["job_id"])
    assert result.structured_content["executed"]["cause"]["kind"] == "timeout"


async def test_jobs_that_there_are_not(connected: Connected) -> None:
    assert "there is no job 'x'; there is none" in await connected.refused("job", job_id="x")
    assert "wait" in await connected.refused("job", job_id="x", wait=1000)
    allowed = "invalid enum value 'ruby'; it is one of 'javascript', 'python', 'shell', 'typescript'. It takes"
    assert allowed in await connected.refused("start_job", code="1", language="ruby")


# --- information ----------------------------------------------------------------------------------------------------


async def test_information_names_what_there_is(connected: Connected) -> None:
    await connected.data("execute", code=PLOT)
    info = await _checked(connected, "get_execution_info")
    assert info["python"]["version"].startswith("3.")
    assert "matplotlib" in info["python"]["packages"]
    assert info["isolation"]["level"] in {"namespaces", "landlock"}
    assert info["isolation"]["restrictions"]
    assert info["limits"]["memory_mb"] == 1024
    assert (info["session"]["executions"], info["session"]["artifacts"], info["session"]["current"]) == (1, 1, 1)
    assert any("no network" in hint for hint in info["hints"])
    again = await connected.data("get_execution_info")
    assert again["session"]["executions"] == 1


# --- calls at once --------------------------------------------------------------------------------------------------


async def test_calls_of_one_session_wait_for_each_other_and_others_do_not(connected: Connected) -> None:
    await connected.data("execute", code="n = 0")
    await asyncio.gather(*(connected.data("execute", code="n += 1; print(n)") for _ in range(5)))
    assert (await connected.data("execute", code="n"))["result"] == "5"
    results = await asyncio.gather(
        *(connected.data("execute", code=f"v = {i}; print(v)", session_id=f"s{i}") for i in range(3))
    )
    assert [one["stdout"] for one in results] == ["0\n", "1\n", "2\n"]
