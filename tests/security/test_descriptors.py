"""The descriptors that a worker holds, and what it can do to the engine with the one that leads there.

Code in a worker can find the control socket among its descriptors. Whatever it writes there, the engine survives,
others are served meanwhile, and the session has a fresh worker at the latest on the call after the next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sandbox.inside.wire import frames

if TYPE_CHECKING:
    from tests.security.conftest import MemoryWatch, Range

    from sandbox.sync import Execution, LocalSandbox

# How long another session may wait for an answer, on a machine that has other work too.
_PATIENCE = 3.0
_MEMORY = 300 << 20
_FORGED = {
    "an end with an error": '{"event":"end","error":{"type":"E","message":"m","traceback":"","errno":0,"exit_code":1}}',
    "a refusal": '{"event":"refused","restriction":"seccomp","errno":1,"message":"no"}',
    "an unknown event": '{"event":"open_sesame"}',
    "an unknown field": '{"event":"end","state":"kept"}',
    "a wrong type": '{"event":"end","compiled":"many"}',
    "a negative count": '{"event":"end","compiled":-1}',
    "no object": "[1,2,3]",
    "no JSON": "end",
    "nothing": "",
    "a long number": '{"event":"result","data":{"a":' + "9" * 5000 + "}}",
    "an infinite number": '{"event":"result","data":{"a":1e999}}',
    "a number where an image should be": '{"event":"figure","data":{"image/png":7}}',
    "a list where a page should be": '{"event":"figure","data":{"text/html":[1]}}',
    "a lone surrogate": '{"event":"result","data":{"text/plain":"\\ud800"}}',
    "answers to nothing": '{"event":"completions","matches":["x"],"start":0}',
}
_RAW = {
    "a huge length": b"\xff\xff\xff\xff",
    "bytes that are not text": frames.encode({}).replace(b"{}", b"\xff\xfe"),
}


@pytest.fixture
def box(lab: Range) -> Iterator[LocalSandbox]:
    """A sandbox that a test may break."""
    box = lab.new_box(timeout=5.0)
    yield box
    box.delete()


def forge(box: LocalSandbox, data: bytes, then: str = "") -> Execution:
    return box.run(f"import attacks; attacks.forge(bytes.fromhex({data.hex()!r})); {then}", check=False)


def assert_serves_again(box: LocalSandbox) -> None:
    """Its worker was trusted or replaced: one more call may fail, with a cause, and none after it."""
    first = box.run("6 * 7", check=False)
    assert first.text == "42" or first.cause == "crashed"
    assert box.run("6 * 7").text == "42"


def seconds_of_another(lab: Range) -> float:
    begin = time.monotonic()
    assert lab.box().run("6 * 7").text == "42"
    return time.monotonic() - begin


# --- what is open ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def open_secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A descriptor that this process's children inherit, open before the module's engine starts."""
    path = tmp_path_factory.mktemp("secret") / "secret-of-the-host"
    path.write_text("secret")
    fd = os.open(path, os.O_RDONLY)
    os.set_inheritable(fd, True)
    yield
    os.close(fd)


def test_a_worker_holds_only_the_named_descriptors(lab: Range) -> None:
    """At every level, so the control is a process that inherits what it is given."""
    found = lab.attack("descriptors").value
    low = {fd: kind.partition(":")[0] for fd, kind in found.items() if int(fd) < 1000}
    high = sorted(kind.partition(":")[0] for fd, kind in found.items() if int(fd) >= 1000)
    assert low == {"0": "/dev/null", "1": "pipe", "2": "pipe"}
    assert high[0].endswith("/statm")  # its own, to see its size
    assert high[1:] == ["pipe", "socket", "socket"]
    listing = (
        "import os; print([os.path.basename(os.readlink(f'/proc/self/fd/{fd}')) for fd in range(3, 100) "
        "if os.path.exists(f'/proc/self/fd/{fd}')])"
    )
    inheriting = subprocess.run(
        [sys.executable, "-c", listing], close_fds=False, capture_output=True, text=True, check=True
    )
    assert "secret-of-the-host" in inheriting.stdout


def test_a_command_holds_only_its_streams(lab: Range) -> None:
    # Sorted, because `ls` has the directory open that it lists.
    if lab.level == "landlock":
        found = lab.box().command.shell(
            "for fd in 0 1 2 3 4 5 6 7 8 9 1000 1001 1002; do (: <&$fd) 2>/dev/null && echo $fd; done"
        )
    else:
        found = lab.box().command.run("/bin/ls", ["/proc/self/fd"])
    assert set(found.stdout.split()) <= {"0", "1", "2", "3"}
    assert {"0", "1", "2"} <= set(found.stdout.split())


def test_no_descriptor_leads_to_a_directory(lab: Range) -> None:
    """From one, openat and fchdir would reach what lies beside it, whatever the view shows."""
    assert [kind for kind in lab.attack("descriptors").value.values() if os.path.isdir(kind)] == []


# --- what can be written to the engine ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", _FORGED.values(), ids=_FORGED)
def test_a_forged_event_costs_only_its_own_session(lab: Range, box: LocalSandbox, text: str) -> None:
    execution = forge(box, len(text.encode()).to_bytes(4, "little") + text.encode())
    assert execution.cause in {None, "crashed"}
    assert seconds_of_another(lab) < _PATIENCE
    assert_serves_again(box)


@pytest.mark.parametrize("data", _RAW.values(), ids=_RAW)
def test_bytes_that_are_no_frame_end_the_worker(lab: Range, box: LocalSandbox, data: bytes) -> None:
    execution = forge(box, data, "import time; time.sleep(60)")
    assert (execution.cause, execution.state) == ("crashed", "restored")
    assert execution.execution_time < _PATIENCE
    assert seconds_of_another(lab) < _PATIENCE
    assert box.run("print(6 * 7)").stdout == "42\n"


def test_half_a_frame_is_waited_for_until_the_time_limit(lab: Range) -> None:
    box = lab.new_box(timeout=0.5)
    execution = forge(box, (1000).to_bytes(4, "little") + b"{")
    assert execution.cause == "timeout"
    assert_serves_again(box)
    box.delete()


@pytest.mark.parametrize(
    "code",
    ["os.close(attacks.control_socket())", "os.dup2(0, attacks.control_socket())"],
    ids=["the control socket", "another file in its place"],
)
def test_closing_descriptors_costs_only_the_worker(lab: Range, box: LocalSandbox, code: str) -> None:
    execution = box.run(f"import os, attacks; {code}", check=False)
    assert execution.cause == "crashed"
    assert execution.execution_time < _PATIENCE
    assert seconds_of_another(lab) < _PATIENCE
    assert box.run("print(6 * 7)").stdout == "42\n"


def test_filling_the_way_back_does_not_stop_the_engine(lab: Range, box: LocalSandbox) -> None:
    """The engine acknowledges marks on a descriptor that the worker holds the other end of, and does not read."""
    mark = frames.encode({"event": "mark", "ack": True})
    other = next(fd for fd, kind in box_descriptors(box).items() if int(fd) >= 1000 and not kind.startswith("socket"))
    fill = f"import os\ntry:\n    os.write({other}, (2**64 - 2).to_bytes(8, 'little'))\nexcept OSError: pass"
    box.run(fill)
    forge(box, mark * 100_000)
    assert seconds_of_another(lab) < _PATIENCE
    assert_serves_again(box)


def box_descriptors(box: LocalSandbox) -> dict[str, str]:
    found: dict[str, str] = json.loads(box.run("import attacks, json; print(json.dumps(attacks.descriptors()))").stdout)
    return found


def test_somebody_who_takes_the_output_away_does_not_stop_the_engine(lab: Range, box: LocalSandbox) -> None:
    """A pipe can be opened again for reading, by its path in /proc, where its owner is the same user."""
    execution = box.run("import attacks; attacks.print_while_stealing(2000)", check=False)
    assert execution.status == "ok"
    assert_serves_again(box)


_FLOODS = {
    "marks": "attacks.flood_events('mark', 50)",
    "results": "attacks.flood_events('result', 50, data={'text/plain': 'x'})",
    "figures": "attacks.flood_events('figure', 50, data={'text/html': 'x' * 1000})",
    "output": "attacks.flood_output(65536)",
}


@pytest.mark.parametrize("code", _FLOODS.values(), ids=_FLOODS)
def test_a_flood_does_not_keep_others_from_their_answers(lab: Range, memory_watch: MemoryWatch, code: str) -> None:
    flooding = lab.new_box(timeout=1.0, output=1)
    seconds_of_another(lab)
    with memory_watch() as grown:
        thread = threading.Thread(target=flooding.run, args=(f"import attacks; {code}",), kwargs={"check": False})
        thread.start()
        waits = [seconds_of_another(lab)]
        while thread.is_alive():
            waits.append(seconds_of_another(lab))
        thread.join()
    assert max(waits) < _PATIENCE
    assert grown() < _MEMORY
    assert_serves_again(flooding)
    flooding.delete()


def test_a_flood_between_executions_is_dropped(lab: Range, box: LocalSandbox, memory_watch: MemoryWatch) -> None:
    box.run(
        "import attacks, threading; threading.Thread(target=attacks.flood_output, args=(65536,), daemon=True).start()"
    )
    with memory_watch() as grown:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert seconds_of_another(lab) < _PATIENCE
    assert grown() < _MEMORY
    assert_serves_again(box)


_RESULTS = {
    "empty lists": ("[", "[],", 9_000_000, "[]]", 4),
    "numbers": ("[", "0,", 14_000_000, "0]", 4),
    "text": ('"', "x", 28_000_000, '"', 4),
    "many of the largest that are taken": ("[", "0,", 4_000_000, "0]", 20),
}


@pytest.mark.parametrize("result", _RESULTS.values(), ids=_RESULTS)
def test_large_results_do_not_use_up_the_hosts_memory(
    lab: Range, box: LocalSandbox, memory_watch: MemoryWatch, result: tuple[object, ...]
) -> None:
    """A byte of JSON can take thirty of the memory of who takes it apart."""
    with memory_watch() as grown:
        execution = box.run(f"import attacks; attacks.send_large_results(*{result!r})", check=False)
    kept = len(execution.results)
    del execution
    assert grown() < _MEMORY, f"with {kept} results"
    assert seconds_of_another(lab) < _PATIENCE
