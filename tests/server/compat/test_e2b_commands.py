"""E2B's commands: in the foreground and background, with input, signals and reconnecting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from e2b import AsyncSandbox, CommandExitException, InvalidArgumentException, SandboxException, TimeoutException
from tests.server.compat.conftest import until


def test_a_command_has_output_and_an_exit_code(box: Any) -> None:
    out: list[str] = []
    result = box.commands.run(
        'echo "$WHO in $(basename $PWD)"; echo wrong >&2', envs={"WHO": "somebody"}, on_stdout=out.append
    )
    assert (result.exit_code, result.stderr) == (0, "wrong\n")
    assert result.stdout.startswith("somebody in ")
    assert "".join(out) == result.stdout
    with pytest.raises(CommandExitException) as caught:
        box.commands.run("echo partly; exit 3")
    assert (caught.value.exit_code, caught.value.stdout, caught.value.error) == (3, "partly\n", "exit status 3")


def test_a_command_runs_where_it_is_told(box: Any) -> None:
    box.files.make_dir("sub")
    assert box.commands.run("basename $PWD", cwd="/home/user/sub").stdout == "sub\n"
    assert box.commands.run("pwd", cwd="/tmp").stdout == "/tmp\n"
    with pytest.raises(InvalidArgumentException, match="No such file"):
        box.commands.run("pwd", cwd="/home/user/missing")


def test_a_background_command_takes_input_until_it_is_closed(box: Any) -> None:
    handle = box.commands.run("cat; echo done", background=True, stdin=True)
    box.commands.send_stdin(handle.pid, "one\n")
    handle.send_stdin("two\n")
    (listed,) = box.commands.list()
    assert (listed.pid, listed.cmd, listed.args) == (handle.pid, "/bin/bash", ["-l", "-c", "cat; echo done"])
    box.commands.close_stdin(handle.pid)
    assert handle.wait().stdout == "one\ntwo\ndone\n"
    assert until(lambda: box.commands.list() == [])


def test_input_can_be_streamed(box: Any) -> None:
    handle = box.commands.run("head -n 3", background=True, stdin=True)
    box.commands.stream_input(handle.pid, [f"{n}\n" for n in range(3)])
    assert handle.wait().stdout == "0\n1\n2\n"


def test_a_command_goes_on_without_its_client_and_another_connects_to_it(box: Any) -> None:
    handle = box.commands.run("echo first; read line; echo $line", background=True, stdin=True)
    assert next(iter(handle)) == ("first\n", None, None)
    handle.disconnect()
    again = box.commands.connect(handle.pid)
    box.commands.send_stdin(handle.pid, "second\n")
    assert again.wait().stdout == "second\n"
    with pytest.raises(SandboxException, match="not found"):
        box.commands.connect(handle.pid)


def test_a_command_is_killed_once(box: Any) -> None:
    handle = box.commands.run("sleep 100", background=True)
    assert handle.kill()
    with pytest.raises(CommandExitException) as caught:
        handle.wait()
    assert caught.value.exit_code == -1
    assert caught.value.error == "signal: killed"
    assert not box.commands.kill(handle.pid)
    assert not box.commands.kill(123456)


def test_a_command_ends_when_its_time_is_over(box: Any) -> None:
    with pytest.raises(TimeoutException):
        box.commands.run("sleep 100", timeout=1)
    assert until(lambda: box.commands.list() == [])


def test_there_is_one_user(box: Any) -> None:
    assert box.commands.run("true", user="user").exit_code == 0
    with pytest.raises(InvalidArgumentException, match="no root"):
        box.commands.run("id", user="root")


async def test_the_asynchronous_client_streams_a_command_while_others_run(key: str) -> None:
    box = await AsyncSandbox.create()
    try:
        lines: list[str] = []
        handle = await box.commands.run("while read x; do echo got $x; done", background=True, stdin=True,
                                        on_stdout=lines.append)  # fmt: skip
        for word in ("a", "b"):
            await box.commands.send_stdin(handle.pid, f"{word}\n")
        others = await asyncio.gather(*(box.commands.run(f"echo {n}") for n in range(5)))
        assert [one.stdout for one in others] == [f"{n}\n" for n in range(5)]
        await box.commands.close_stdin(handle.pid)
        assert (await handle.wait()).exit_code == 0
        assert "".join(lines) == "got a\ngot b\n"
    finally:
        await box.kill()
