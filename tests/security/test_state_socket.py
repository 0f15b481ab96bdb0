"""What hostile code can say of its variables over the socket on which they are saved, and be silent about."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import StoreDamaged
from sandbox.engine import stored
from sandbox.sync import LocalSandbox

if TYPE_CHECKING:
    from tests.security.conftest import Range

# Takes the place of what saves. `records` are sent as they are, `size` is announced.
_FORGE = """
import json, os, struct, sys
checkpoints = next(one for name, one in sys.modules.items() if name.endswith("python.checkpoints"))
def forge(size, data, times=1):
    true = checkpoints.Checkpoints.save
    left = [times]
    class Forged:
        def __init__(self, fd, number):
            self._fd = fd
            announced = len(data) if size is None else size
            self.event = {"event": "saved", "number": number, "bytes": announced, "lost": []}
        def send_rest(self):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest):]
    def save(self, number, codes, source, *, whole):
        left[0] -= 1
        if left[0] < 0:
            return true(self, number, codes, source, whole=whole)
        return Forged(self._fd, number)
    checkpoints.Checkpoints.save = save
def record(header, payload=b""):
    head = json.dumps(header).encode()
    return struct.pack("<I", len(head)) + head + payload
END = struct.pack("<I", 0)
"""


@pytest.fixture
def box(lab: Range, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSandbox]:
    monkeypatch.setattr(stored, "_SILENCE_SECONDS", 0.5)
    with LocalSandbox(engine=lab.engine, session_id=f"forged-{os.getpid()}", **lab.box().options.__dict__) as box:
        box.run("good = 1")
        box.run(_FORGE)
        yield box
        box.delete()


@pytest.mark.parametrize(
    "lie",
    {
        "more than its memory": "forge(1 << 47, b'')",
        "and is silent": "forge(1000, b'')",
        "and sends less": "forge(1000, record({'put': 'index', 'size': 900}, b'x'))",
        "more records than it announced": "forge(None, END + b'more')",
        "a length over every bound": "forge(None, b'\\xff\\xff\\xff\\xff')",
        "no header": "forge(None, struct.pack('<I', 3) + b'abc' + END)",
        "a file of the workspace": "forge(None, record({'put': 'file/x', 'size': 1}, b'x') + END)",
        "a patch of nothing": (
            "forge(None, record({'patch': 'q', 'size': 8192, 'ranges': [[0, 4096]]}, bytes(4096)) + END)"
        ),
    }.items(),
    ids=lambda lie: lie[0],
)
def test_a_lie_about_what_is_saved_costs_that_execution_only(box: LocalSandbox, lie: tuple[str, str]) -> None:
    begin = time.monotonic()
    execution = box.run(f"good = 2; {lie[1]}", check=False)
    assert time.monotonic() - begin < 10
    assert (execution.state, execution.state.restored_to) == ("restored", 2), execution.warnings
    assert box.run("good").text == "1"


def test_an_index_that_is_no_index_is_damage_and_nothing_is_read_of_it(box: LocalSandbox) -> None:
    deep = "b'[' * 100_000"
    for index in ("b'not JSON'", deep, "b'{\"names\": {\"x\": ' + b'{\"value\":' * 50_000 + b'1}'"):
        box.run(f"data = {index}; forge(None, record({{'put': 'index', 'size': len(data)}}, data) + END)")
        with pytest.raises(StoreDamaged, match="does not decode"):
            box.variables()


def test_an_index_too_large_to_read_is_not_read(box: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.engine import timeline

    monkeypatch.setattr(timeline, "_MOST_INDEX", 1000)
    box.run("data = b'{' + b' ' * 2000; forge(None, record({'put': 'index', 'size': len(data)}, data) + END)")
    with pytest.raises(StoreDamaged, match="larger than any"):
        box.variables()


def test_what_is_left_in_the_socket_is_not_taken_for_the_next_delta(box: LocalSandbox) -> None:
    """The control: the same without anything left goes on."""
    junk = "import stat\nfor fd in map(int, os.listdir('/proc/self/fd')):\n    try:\n"
    junk += "        if stat.S_ISSOCK(os.fstat(fd).st_mode): last = fd\n    except OSError: pass\n"
    assert box.run(f"{junk}good = 2").state == "kept"
    execution: Any = box.run(f"{junk}os.write(last, b'junk'); good = 3", check=False)
    assert execution.state == "restored"
    assert box.run("good").text == "2"
