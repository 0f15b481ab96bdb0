"""E2B's terminals (`sandbox.pty`): made, typed at, resized, left and connected to again."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from e2b import (
    AsyncSandbox,
    CommandExitException,
    InvalidArgumentException,
    PtySize,
    SandboxException,
    TimeoutException,
)
from tests.server.compat.conftest import until


class Screen:
    """What a terminal has printed."""

    def __init__(self, handle: Any) -> None:
        self.text = ""
        self._pieces = iter(handle)

    def until(self, pattern: str) -> re.Match[str]:
        while (found := re.search(pattern, self.text)) is None:
            _, _, data = next(self._pieces)
            self.text += (data or b"").decode()
        self.text = self.text[found.end() :]
        return found


@pytest.fixture
def terminal(box: Any) -> Any:
    return box.pty.create(PtySize(rows=30, cols=90), envs={"GIVEN": "yes", "PS1": "> "}, timeout=0)


def test_a_terminal_has_a_size_and_what_is_typed_and_printed(box: Any, terminal: Any) -> None:
    screen = Screen(terminal)
    box.pty.send_stdin(terminal.pid, b"stty size; echo given-$GIVEN; basename $PWD\n")
    screen.until("30 90\r\ngiven-yes\r\n")
    box.pty.resize(terminal.pid, PtySize(rows=20, cols=70))
    box.pty.send_stdin(terminal.pid, b"stty size\n")
    screen.until("20 70\r\n")
    box.pty.send_stdin(terminal.pid, b"python3 -c \"import time; print('be' + 'gun', flush=True); time.sleep(600)\"\n")
    screen.until("begun\r\n")
    box.pty.send_stdin(terminal.pid, b"\x03")
    screen.until("KeyboardInterrupt")
    box.pty.stream_input(terminal.pid, ["echo on-", "$((40 + 2))\n", b"exit 3\n"])
    screen.until("on-42")
    with pytest.raises(CommandExitException) as caught:
        terminal.wait()
    assert caught.value.exit_code == 3


def test_a_terminal_goes_on_without_its_client_and_another_connects_to_it(box: Any, terminal: Any) -> None:
    box.pty.send_stdin(terminal.pid, b"echo first-$((40 + 2))\n")
    Screen(terminal).until("first-42")
    terminal.disconnect()
    # More than anybody holds: nobody is there to see it, and it is not held up.
    box.pty.send_stdin(terminal.pid, b"head -c 12000000 /dev/zero; touch done\n")
    assert until(lambda: box.files.exists("done"))
    again = box.pty.connect(terminal.pid, timeout=0)
    other = box.pty.connect(terminal.pid, timeout=0)
    box.pty.send_stdin(terminal.pid, b"echo again-$((40 + 2))\n")
    Screen(again).until("again-42")
    Screen(other).until("again-42")
    assert [one.pid for one in box.commands.list()] == [terminal.pid]
    assert box.pty.kill(terminal.pid)
    with pytest.raises(CommandExitException) as caught:
        again.wait()
    assert (caught.value.exit_code, caught.value.error) == (-1, "signal: killed")
    assert until(lambda: box.commands.list() == [])
    assert not box.pty.kill(terminal.pid)
    with pytest.raises(SandboxException, match="not found"):
        box.pty.connect(terminal.pid)


def test_a_terminal_ends_when_its_time_is_over(box: Any) -> None:
    handle = box.pty.create(PtySize(rows=24, cols=80), timeout=1)
    with pytest.raises(TimeoutException):
        handle.wait()
    assert until(lambda: box.commands.list() == [])


def test_a_command_is_no_terminal_and_a_terminal_no_command(box: Any, terminal: Any) -> None:
    command = box.commands.run("cat", background=True, stdin=True)
    with pytest.raises(InvalidArgumentException, match="no terminal"):
        box.pty.send_stdin(command.pid, b"x")
    with pytest.raises(InvalidArgumentException, match="type there"):
        box.commands.send_stdin(terminal.pid, "x")
    for size in (PtySize(rows=0, cols=80), PtySize(rows=24, cols=100_000)):
        with pytest.raises(InvalidArgumentException):
            box.pty.create(size)
    assert terminal.kill()


async def test_the_asynchronous_client_has_terminals_too(key: str) -> None:
    box = await AsyncSandbox.create()
    try:
        seen: list[bytes] = []
        handle = await box.pty.create(PtySize(rows=24, cols=80), on_data=seen.append, timeout=0)
        await box.pty.send_stdin(handle.pid, b"echo on-$((40 + 2)); exit\n")
        async with asyncio.timeout(50):
            assert (await handle.wait()).exit_code == 0
        assert b"on-42" in b"".join(seen)
    finally:
        await box.kill()
