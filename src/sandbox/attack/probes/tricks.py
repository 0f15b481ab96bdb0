"""What hostile code does to the host by what it sends, stores and leaves behind: the engine has to withstand it."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.attack.probe import Trick
from sandbox.attack.scene import AttackFailed, attack_in
from sandbox.errors import SandboxFileError
from sandbox.inside.wire import frames

if TYPE_CHECKING:
    from sandbox.attack.scene import Scene
    from sandbox.sync import Execution, LocalSandbox

_PATIENCE = 20.0
_DEEP = b'{"event":"result","data":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
# It runs wherever it is unpickled. Inside a sandbox it does nothing: the directory is not there.
_EVIL = """
class Evil:
    def __reduce__(self):
        return touch, (PATH, Evil)
def touch(path, kind):
    try:
        open(path, "w").close()
    except OSError:
        pass
    return object.__new__(kind)
evil = Evil()
""".replace("PATH", "{path!r}")


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "little") + body


def _crashed(execution: Execution) -> bool:
    return execution.cause == "crashed"


def _named(execution: Execution) -> bool:
    return any("../" in mime for result in execution.results for mime in result.data)


def _forging(data: bytes, noticed: Callable[[Execution], bool] = _crashed) -> Callable[[Scene], str]:
    """Write to the socket on which the worker answers. `noticed` tells that the engine has read it."""

    def attempt(scene: Scene) -> str:
        with scene.own_box(timeout=5.0) as box:
            code = f"import attacks, time; attacks.forge(bytes.fromhex({data.hex()!r})); time.sleep(0.2)"
            execution = box.run(code, check=False)
            if not noticed(execution):
                raise AttackFailed(f"what was forged has not reached the engine: {execution.exception or execution}")
            return _serves_again(scene, box)

    return attempt


def _serves_again(scene: Scene, box: LocalSandbox) -> str:
    """It has a worker that was trusted or replaced: one more call may fail, with a cause, and none after it."""
    first = box.run("6 * 7", check=False)
    if first.text != "42" and first.cause != "crashed":
        return f"the next call gave {first.text}"
    if box.run("6 * 7").text != "42":
        return "the sandbox is no longer to be used"
    return "" if scene.box().run("6 * 7").text == "42" else "another sandbox is no longer to be used"


def _flooding(code: str) -> Callable[[Scene], str]:
    def attempt(scene: Scene) -> str:
        with scene.own_box(timeout=0.5, output=1) as box:
            execution = box.run(f"import attacks; {code}", check=False)
            if execution.cause is None:
                raise AttackFailed(f"it was no flood: {execution.exception or execution}")
            return _serves_again(scene, box)

    return attempt


def _closing(scene: Scene) -> str:
    with scene.own_box(timeout=5.0) as box:
        ended = box.run("import os; os.closerange(0, 65536)", check=False)
        return _serves_again(scene, box) if ended.cause == "crashed" else f"it ended by {ended.cause}"


def _pickle(scene: Scene) -> str:
    """Store a variable whose unpickling runs code, then have the host look at it in every way that it has."""
    marker = Path(scene.bait["place"], "unpickled")
    with scene.own_box(persist=True) as box:
        box.run(_EVIL.format(path=str(marker)))
        box.variables()
        box.checkpoints()
        box.run("import os; os._exit(1)", check=False)  # the next call restores it, inside
        found = box.run("type(evil).__name__").text
        box.diff(1, 2)
    if marker.exists():
        marker.unlink()
        return "code of a stored variable ran on the host"
    return "" if found == "'Evil'" else f"it came back as {found}"


def _artifacts(scene: Scene) -> str:
    """Leave links, a pipe and odd names where artifacts are collected from."""
    secret = scene.bait["secret"]
    code = "import os\nos.makedirs('artifacts', exist_ok=True); os.chdir('artifacts')\n"
    code += f"os.symlink({secret!r}, 'link'); os.symlink({scene.bait['place']!r}, 'directory'); os.mkfifo('pipe')\n"
    code += "open(b'a\\x1b[31m\\n\\xff', 'w').write('odd')\n"
    with scene.own_box() as box:
        box.run(code)
        artifacts = box.list_artifacts()
        copies = [Path(artifact.path) for artifact in artifacts]
        if any(not path.resolve().is_relative_to(box.artifacts_dir.resolve()) for path in copies):
            return "an artifact lies outside of its directory"
        if any(not stat.S_ISREG(path.lstat().st_mode) for path in copies):
            return "an artifact is no regular file"
        return "" if len(artifacts) == 1 else f"{len(artifacts)} artifacts were made of one file"


def _following(attempt: Callable[[LocalSandbox], object]) -> Callable[[Scene], str]:
    """Have the caller go through links that code has made."""

    def trick(scene: Scene) -> str:
        place, secret = scene.bait["place"], scene.bait["secret"]
        with scene.own_box() as box:
            box.run(f"import os; os.symlink({place!r}, 'directory'); os.symlink({secret!r}, 'link')")
            with contextlib.suppress(SandboxFileError):
                return f"it was done: {attempt(box)!r}"
            return ""

    return trick


def _daemons(scene: Scene) -> str:
    """Leave processes running that belong to nobody, in three ways, and see whether they outlive the sandbox."""
    seconds = f"6{os.getpid()}{time.monotonic_ns() % 1000:03}"  # a number that nobody else sleeps for
    with scene.own_box() as box:
        box.run(f"import attacks; attacks.leave_behind({seconds!r})")
        if not _until(lambda: len(_sleeping(seconds)) == 3):
            return "they were never there"
    return "" if _until(lambda: not _sleeping(seconds)) else "processes outlive their sandbox"


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _sleeping(seconds: str) -> list[str]:
    """The host's processes that run `sleep` with this argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found += [entry.name] * ((entry / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode())
    return found


def _memory_of_another(scene: Scene) -> str:
    """Look for one session's variable in the memory of the next, which the same zygote forks."""
    needle = os.urandom(12).hex()
    search = f"import attacks; attacks.memory_with({needle.encode()[::-1].hex()!r})"
    with scene.own_box(env={"TOKEN": needle}) as box:
        box.command.run("/bin/true", [needle])
        if box.run(search).text == "[]":
            raise AttackFailed("the search of the memory does not find what is there")
    with scene.own_box() as other:
        found = other.run(search).text
    return "" if found == "[]" else "a secret of another session was found"


def _random_numbers(scene: Scene) -> str:
    """Two workers, forked from one memory, must not draw the same."""
    drawn = []
    for _ in range(2):
        with scene.own_box() as box:
            drawn.append(attack_in(box, "random_numbers").value)
    same = [one for one, other in zip(*drawn, strict=True) if one == other]
    return f"both drew {', '.join(same)}" if same else ""


PROBES: tuple[Trick, ...] = (
    Trick("forge-end", "forge the end of its execution", "worker_events", _forging(_frame(b'{"event":"end"}'))),
    Trick(
        "forge-confinement", "claim to be confined, or not", "worker_events",
        _forging(_frame(b'{"event":"ready","enforced":["everything"],"pid":1}')),
    ),
    Trick("forge-path", "name a result like a path of the host", "worker_events",
          _forging(_frame(b'{"event":"figure","data":{"image/../../../tmp/x":"aGk="}}'), _named)),
    Trick("forge-deep", "send a value of 100,000 levels", "worker_events", _forging(_frame(_DEEP))),
    Trick("forge-length", "announce more than memory holds", "frames",
          _forging((frames.MAX_FRAME + 1).to_bytes(4, "little"))),
    Trick("forge-noise", "send noise for answers", "frames", _forging(bytes(range(256)) * 64)),
    Trick("flood-events", "flood the engine with events", "worker",
          _flooding("attacks.flood_events('mark', 50, ack=True)")),
    Trick("flood-output", "flood it with single characters", "pipes", _flooding("attacks.flood_output(1)")),
    Trick("close-everything", "close the sockets to the engine", "worker", _closing),
    Trick("pickle", "have the host load its pickles", "store", _pickle),
    Trick("artifacts", "hand over links, pipes and odd names", "artifacts", _artifacts),
    Trick("read-through", "have the caller read through a link", "beneath",
          _following(lambda box: box.files.read("link"))),
    Trick("write-through", "have the caller write through a link", "beneath",
          _following(lambda box: box.files.write("directory/made", b"x"))),
    Trick("change-through", "have it write to a linked file", "beneath",
          _following(lambda box: box.files.write("link", b"x"))),
    Trick("move-through", "have it move a file out by a link", "beneath",
          _following(lambda box: box.files.rename("link/../directory", "directory/made"))),
    Trick("daemons", "leave processes that outlive it", "keeper", _daemons),
    Trick("other-memory", "find another session's secrets", "zygote", _memory_of_another),
    Trick("same-random", "draw the random numbers of another", "zygote", _random_numbers),
)  # fmt: skip
