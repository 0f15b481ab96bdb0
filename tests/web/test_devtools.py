"""What Chromium says, in whatever pieces it comes."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from sandbox.engine.web import chromium
from sandbox.engine.web.devtools import Devtools, DevtoolsError


class Browser:
    """The other ends of the pipes."""

    def __init__(self) -> None:
        self.reads, theirs = os.pipe2(os.O_CLOEXEC)
        ours, self.writes = os.pipe2(os.O_CLOEXEC)
        self.devtools = Devtools(ours, theirs)

    async def say(self, data: bytes) -> None:
        await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.writes, data) :]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    browser = Browser()
    yield browser
    browser.devtools.close()
    os.close(browser.reads)
    os.close(browser.writes)


def _answer(number: int, result: object) -> bytes:
    return json.dumps({"id": number, "result": result}).encode() + b"\0"


async def test_a_large_answer_in_many_pieces_is_understood_and_so_is_what_follows(browser: Browser) -> None:
    first, second = (asyncio.ensure_future(browser.devtools.ask(name)) for name in ("One.is", "Two.is"))
    event = browser.devtools.expect("Some.thing")
    large = _answer(1, {"data": "x" * 3_000_000})
    await browser.say(large[:-1])
    await browser.say(large[-1:] + b'{"method": "Some.thing"}\0' + _answer(2, {"a": 1}))
    assert len((await first)["data"]) == 3_000_000
    await event
    assert await second == {"a": 1}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"nonsense\0", "cannot be understood"),
        (_answer(1, ["no", "answer"]), "cannot be understood"),
        (b'{"id": 1, "error": {"message": "no"}}\0', "no"),
        (b'{"id": [1]}\0[1]\0' + b'{"id": 1, "error": "after all that"}\0', "after all that"),
    ],
)
async def test_what_is_no_answer_is_an_error(browser: Browser, said: bytes, why: str) -> None:
    asked = asyncio.ensure_future(browser.devtools.ask("One.is"))
    await asyncio.sleep(0)
    await browser.say(said)
    with pytest.raises(DevtoolsError, match=why):
        await asked


async def test_its_end_is_an_error(browser: Browser) -> None:
    asked = asyncio.ensure_future(browser.devtools.ask("One.is"))
    await asyncio.sleep(0)
    os.close(browser.writes)
    browser.writes = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    with pytest.raises(DevtoolsError, match="it has ended"):
        await asked


@pytest.mark.parametrize("first", range(94, 103))
def test_the_pipes_reach_chromium_whatever_numbers_they_have(first: int) -> None:
    """A pair was overwritten by its own moving once: when the second had the number that the first was moved to."""
    theirs_in, ours_out = os.pipe2(os.O_CLOEXEC)
    ours_in, theirs_out = os.pipe2(os.O_CLOEXEC)
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, number) for fd, number in ((theirs_in, 97), (theirs_out, first))]
    numbers = f"{moved[0]},{moved[1]},0"
    echo = [sys.executable, "-I", "-S", "-c", chromium._STUB, numbers, "/bin/sh", "-c", "cat <&3 >&4"]
    try:
        os.write(ours_out, b"said")
        os.close(ours_out)
        subprocess.run(echo, pass_fds=moved, env={"HOME": "/"}, check=True, timeout=60)
        for fd in (theirs_out, moved[1]):
            os.close(fd)
        assert os.read(ours_in, 100) == b"said"
    finally:
        for fd in (theirs_in, ours_in, moved[0]):
            os.close(fd)
