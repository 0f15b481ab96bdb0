"""A terminal inside: what is typed reaches the program, its size and signals too, and it ends when it is hung up."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox import SandboxClosedError, SandboxError, UsageError

from .conftest import Awaitable

_SHELL = ("sh",)
_SECONDS = 50
# Says when it goes on, which it does once the terminal is its own again.
_WAITS = """
import os, signal, time
signal.signal(signal.SIGCONT, lambda *_: os.write(1, b"waiting again\\n"))
print("waiting", flush=True)
while True:
    time.sleep(0.1)  # one that is long can miss a signal that comes as it begins
"""
_PROMPT = {"PS1": "ready> ", "ENV": "", "TERM": "dumb"}


@contextlib.asynccontextmanager
async def terminal_of(box: Any, *args: Any, **more: Any) -> AsyncIterator[Any]:
    """A started terminal of either flavour, closed at the end."""
    if isinstance(box, Awaitable):
        made: Any = box._inner.terminal(*args, **more)  # type: ignore[attr-defined]
        wrapped = Awaitable(made)
    else:
        made = wrapped = box.terminal(*args, **more)
    await wrapped.start()
    try:
        yield wrapped
    finally:
        if not made._closed:
            await wrapped.close()


class Screen:
    """What a terminal has printed, and waits for."""

    def __init__(self, terminal: Any) -> None:
        self.terminal, self.text = terminal, ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read until this comes, and take it away with all before it."""
        async with asyncio.timeout(_SECONDS):
            while (found := re.search(pattern, self.text)) is None:
                data = await self.terminal.read()
                assert data, f"it has ended with {self.text!r}"
                self.text += data.decode()
        self.text = self.text[found.end() :]
        return found

    async def rest(self) -> str:
        async with asyncio.timeout(_SECONDS):
            while data := await self.terminal.read():
                self.text += data.decode()
        return self.text


async def test_what_is_typed_reaches_a_shell_and_its_answers_come_back(any_box: Any) -> None:
    async with terminal_of(any_box, "sh", cwd=".", env=_PROMPT) as terminal:
        screen = Screen(terminal)
        await screen.until("ready> ")
        await terminal.write("echo $((6 * 7)); pwd\n")
        await screen.until(r"\r\n42\r\n")
        await terminal.write("exit 3\n")
        await screen.rest()
        assert terminal.exit_code == 3
        assert await terminal.read() == b""
    ended = await any_box.command.run("true")
    assert ended.exit_code == 0


async def test_a_program_sees_a_terminal_of_the_size_that_it_is_given(any_box: Any) -> None:
    code = """
import os, signal, sys
print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty(), *os.get_terminal_size(), os.environ["TERM"])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
print("waiting", flush=True)
signal.sigwait({signal.SIGWINCH})
print("now", *os.get_terminal_size())
"""
    async with terminal_of(any_box, "python3", ["-c", code], cols=101, rows=37) as terminal:
        screen = Screen(terminal)
        await screen.until(r"True True True 101 37 xterm-256color\r\nwaiting\r\n")
        await terminal.resize(120, 50)
        await screen.until("now 120 50\r\n")


async def test_keys_are_signals_and_jobs_are_controlled(any_box: Any) -> None:
    async with terminal_of(any_box, "bash", ["--norc", "-i"], env=_PROMPT) as terminal:
        screen = Screen(terminal)
        await screen.until("ready> ")
        await any_box.files.write("waits.py", _WAITS)
        await terminal.write("python3 waits.py\n")
        await screen.until("waiting\r\n")
        await terminal.write("\x1a")
        await screen.until("Stopped")
        await screen.until("ready> ")
        await terminal.write("jobs -l; fg\n")
        await screen.until(r"\[1\]\+")
        await screen.until("waiting again\r\n")
        await terminal.write("\x03")
        await screen.until("KeyboardInterrupt")
        await screen.until("ready> ")
        await terminal.write("\x04")
        await screen.rest()
        assert terminal.exit_code is not None


async def test_closing_hangs_up_on_the_program_and_what_it_has_in_the_foreground(any_box: Any) -> None:
    async with terminal_of(any_box, "sh", env=_PROMPT) as terminal:
        screen = Screen(terminal)
        await terminal.write("echo began; sleep 987654\n")
        await screen.until("began\r\n")
        assert await terminal.close() in {-1, -9, 129}
        assert await terminal.close() in {-1, -9, 129}
        assert await terminal.read() == b""
    found = await any_box.command.shell("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
    assert "sleep 987654" not in found.stdout


async def test_a_program_that_takes_no_notice_is_killed(any_box: Any) -> None:
    async with terminal_of(any_box, "sh", ["-c", "trap '' HUP INT TERM; echo began; while :; do :; done"]) as terminal:
        await Screen(terminal).until("began\r\n")
        await terminal.write("\x03")
        await terminal.kill()
        await Screen(terminal).rest()
        assert terminal.exit_code == -9


async def test_what_nobody_reads_holds_up_the_program_and_nothing_is_lost(any_box: Any) -> None:
    code = "import os\nfor n in range(60_000): print(n)\nopen('done', 'w').close()"
    async with terminal_of(any_box, "python3", ["-c", code]) as terminal:
        assert not await any_box.files.exists("done")
        text = await Screen(terminal).rest()
        assert text.split() == [str(n) for n in range(60_000)]
        assert terminal.exit_code == 0
    assert await any_box.files.exists("done")


async def test_bytes_that_are_no_text_come_as_they_are(any_box: Any) -> None:
    async with terminal_of(any_box, "sh", ["-c", r"stty raw; printf '\377\000\033[2J'"]) as terminal:
        data = b""
        while piece := await terminal.read():
            data += piece
        assert data == b"\xff\0\x1b[2J"


async def test_a_terminal_ends_with_the_worker(any_box: Any) -> None:
    async with terminal_of(any_box, "sh", env=_PROMPT) as terminal:
        await Screen(terminal).until("ready> ")
        with pytest.raises(SandboxError):
            await any_box.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        await Screen(terminal).rest()
        assert terminal.exit_code in {-1, -9, 129}
        with pytest.raises(SandboxError, match="has ended"):
            await terminal.write("x")


async def test_what_cannot_be_is_said(any_box: Any) -> None:
    with pytest.raises(UsageError, match="there is no program 'nothing'"):
        async with terminal_of(any_box, "nothing"):
            pass
    with pytest.raises(UsageError, match="each is from 1 to 4096"):
        async with terminal_of(any_box, "sh", cols=5000):
            pass
    with pytest.raises(UsageError, match="not a whole number of at least 1"):
        async with terminal_of(any_box, "sh", rows=0):
            pass


async def test_so_many_terminals_and_no_more(any_box: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            await stack.enter_async_context(terminal_of(any_box, "cat"))
        with pytest.raises(UsageError, match="16 terminals, the most"):
            await stack.enter_async_context(terminal_of(any_box, "cat"))


async def test_a_terminal_of_a_stopped_sandbox_is_gone(any_box: Any) -> None:
    async with terminal_of(any_box, "cat") as terminal:
        await any_box.stop()
        with pytest.raises(SandboxClosedError):
            await terminal.read()
        await any_box.start()
        with pytest.raises(UsageError, match="there is no terminal"):
            await terminal.read()
        getattr(terminal, "_inner", terminal)._closed = True
