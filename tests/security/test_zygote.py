"""What a hostile package can do in the zygote, which imports it ahead of time, and what the engine takes from there."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.security.conftest import open_directory

from sandbox import SandboxError, SandboxStartError
from sandbox.engine.thread import EngineThread
from sandbox.inside.contain.policy import LANDLOCK
from sandbox.sync import LocalSandbox

# Runs at its import; the session sees what came of it.
_WHO = "who = open('/proc/self/comm').read().strip()\n"
_CONNECTS = """
import socket
try:
    came = socket.create_connection(("127.0.0.1", %d), 2) and "connected"
except OSError as error:
    came = type(error).__name__
"""
_LOOKS = """
import os
staging = os.path.isdir("/.workspaces")
found = [name for name in range(100) if os.path.exists(f"/.workspaces/p{name}/secret.txt")]
"""
# Finds the socket to the engine among its descriptors, as the only one of its kind.
_FORGES = """
import os, socket
for fd in range(3, 64):
    try:
        copy = socket.socket(fileno=os.dup(fd))
    except OSError:
        continue
    if copy.type == socket.SOCK_SEQPACKET:
        for _ in range(4):
            try:
                socket.send_fds(copy, [%r], [0] * %d)
            except OSError:
                break
"""

MakeEnvironment = Callable[[str], str]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that workers with a uid of their own may pass through, and an engine's home in it."""
    directory = open_directory()
    monkeypatch.setenv("SANDBOX_HOME", str(directory / "home"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def environment(place: Path) -> MakeEnvironment:
    """Make a virtual environment whose numpy is this source."""

    def environment(source: str) -> str:
        python = "/usr/bin/python3" if os.geteuid() == 0 and os.path.exists("/usr/bin/python3") else sys.executable
        subprocess.run([python, "-m", "venv", "--without-pip", place / "venv"], check=True)
        (site,) = (place / "venv" / "lib").glob("python*/site-packages")
        (site / "numpy").mkdir()
        (site / "numpy" / "__init__.py").write_text(_WHO + source, encoding="utf-8")
        subprocess.run(["chmod", "-R", "a+rX", place / "venv"], check=True)
        return str(place / "venv")

    return environment


@pytest.fixture
def engine_here(place: Path) -> Iterator[EngineThread]:
    engine = EngineThread(parked=0)
    yield engine
    engine.close()


def wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def why_lost(engine: EngineThread, environment: str) -> str | None:
    """Why the engine gave up the zygote of an environment, if it has."""
    for spec, task in engine._engine.sessions.launcher._zygotes.items():
        if spec.interpreter.prefix == environment and task.done():
            lost = task.result().lost
            return lost.result() if lost is not None and lost.done() else None
    return None


def told(engine: EngineThread, code: str, **options: object) -> str:
    """Run code in a session that was forked after the zygote has imported everything on its list."""
    with LocalSandbox(engine=engine, **options):  # type: ignore[arg-type]
        wait_until(lambda: not engine.busy())
        with LocalSandbox(engine=engine, **options) as box:  # type: ignore[arg-type]
            return str(box.run(code).text)


@pytest.mark.needs_namespaces
def test_a_package_cannot_reach_a_network_from_the_zygote(
    environment: MakeEnvironment, engine_here: EngineThread
) -> None:
    code = "import numpy; numpy.who, numpy.came"
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = environment(_CONNECTS % server.getsockname()[1])
        assert told(engine_here, code, environment=where) == "('sandbox-zygote', 'OSError')"
        control = told(engine_here, code, environment=where, without=("network_namespace",))
        assert control == "('sandbox-zygote', 'connected')"


@pytest.mark.needs_namespaces
def test_a_package_does_not_see_the_workspaces_of_other_environments(
    environment: MakeEnvironment, engine_here: EngineThread
) -> None:
    where = environment(_LOOKS)
    with LocalSandbox(engine=engine_here) as other:
        other.files.write("secret.txt", "theirs")
        seen = told(engine_here, "import numpy; numpy.who, numpy.staging, numpy.found", environment=where)
    assert seen == "('sandbox-zygote', True, [])"


@pytest.mark.skipif(os.geteuid() != 0, reason="the zygote has no more rights than its user")
def test_without_a_user_namespace_root_imports_no_package_ahead(
    environment: MakeEnvironment, engine_here: EngineThread
) -> None:
    came = told(engine_here, "import numpy; numpy.who", environment=environment(""), isolation=LANDLOCK)
    assert came == "'sandbox-worker'"


@pytest.mark.parametrize(
    "lie",
    [
        b"no JSON",
        b"[]",
        b'{"ended": "all"}',
        b'{"forked": 1}',
        b'{"made": 1}',
        b'{"warmed": "nothing", "left": 0}',
        b'{"ended": 1, "more": 1}',
        b'{"warmed": "\xff"}',
        b"[" * 100_000,
    ],
)
@pytest.mark.needs_namespaces
def test_a_zygote_that_lies_is_lost_and_nobody_else(
    environment: MakeEnvironment, engine_here: EngineThread, lie: bytes
) -> None:
    where = environment(_FORGES % (lie, 0))
    with LocalSandbox(engine=engine_here) as other:
        with contextlib.suppress(SandboxError), LocalSandbox(engine=engine_here, environment=where):
            pass
        wait_until(lambda: "broke the protocol" in str(why_lost(engine_here, where)))
        assert other.run("6 * 7").text == "42"


@pytest.mark.parametrize("said", [b'{"ended": 1}', b'{"forked": 1}', b"no JSON"])
@pytest.mark.needs_namespaces
def test_descriptors_that_a_zygote_sends_unasked_are_closed(
    environment: MakeEnvironment, engine_here: EngineThread, said: bytes
) -> None:
    """Each of its messages can have some: they would use up those of this process."""
    where = environment(_FORGES % (said, 12))
    with LocalSandbox(engine=engine_here):
        before = len(os.listdir("/proc/self/fd"))
        with contextlib.suppress(SandboxError), LocalSandbox(engine=engine_here, environment=where):
            pass
        wait_until(lambda: "broke the protocol" in str(why_lost(engine_here, where)))
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_a_landlock_too_old_to_guard_from_cutting_files_is_none(
    engine_here: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_here._engine.sessions.launcher, "landlock_abi", 2)
    with pytest.raises(SandboxStartError, match=r"needs 3 or later\n.*6\.2"):
        LocalSandbox(engine=engine_here, isolation=LANDLOCK).start()
