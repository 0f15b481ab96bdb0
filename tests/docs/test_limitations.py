"""Each row of docs/limitations.md with an anchor is tried: what it says does not work must not work."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import ISOLATION
from tests.docs.blocks import ROOT

from sandbox import CheckpointNotFound, LocalSandbox, Mount, SandboxCrashedError, UsageError
from sandbox.engine.thread import EngineThread
from sandbox.results import ExecutionData

DOCUMENT = ROOT / "docs" / "limitations.md"
_ROW = re.compile(r'^\| <a id="([a-z-]+)"></a>(.+?) \| .+ \|$', re.MULTILINE)
ROWS: dict[str, str] = dict(_ROW.findall(DOCUMENT.read_text(encoding="utf-8")))

Make = Callable[..., LocalSandbox]

# The row, code that tries it, and what comes of it: the value or the exception.
CELLS = [
    ("input", "input()", r"EOFError: .*"),
    ("magics", "%timeit 1", r"SyntaxError: .*"),
    ("magics", "!ls", r"SyntaxError: .*"),
    ("create-task", "import asyncio\nasync def f(): pass\nc = f()\nasyncio.create_task(c)", r"RuntimeError: no run.*"),
    ("pip", "import sysconfig; open(sysconfig.get_path('purelib') + '/new.py', 'w')", r"(OSError|PermissionError): .*"),
    ("windows", "import matplotlib.pyplot as plt; plt.switch_backend('TkAgg')", r"(Import|ModuleNotFound)Error: .*"),
    ("signals", "import signal as s, time; s.setitimer(s.ITIMER_REAL, 0.01); time.sleep(0.1); 'on'", r"'on'"),
    ("signals", "import os, subprocess; subprocess.run(['kill', str(os.getpid())]).returncode", r"0"),
    ("nested", "import ctypes; ctypes.CDLL(None).unshare(0x10000000)", r"-1"),
    ("debuggers", "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)", r"-1"),
    ("setuid", "'NoNewPrivs:\\t1' in open('/proc/self/status').read()", r"True"),
    ("tmp", "import shutil; [shutil.disk_usage(at).total >> 20 for at in ('/tmp', '/dev/shm')]", r"\[512, 512\]"),
    ("ll-sockets", "import socket; socket.socket()", r"PermissionError: .*"),
    ("ll-sockets", "import socket; a, b = socket.socketpair(); a.send(b'x'); b.recv(1)", r"b'x'"),
    ("ll-multiprocessing", "import multiprocessing; multiprocessing.Lock()", r"PermissionError: .*"),
    ("ll-multiprocessing", "import multiprocessing as m; m.get_context('fork').Pool(1)", r"PermissionError: .*"),
    ("ll-multiprocessing", "import os; os.fork() or os._exit(0); os.wait()[1]", r"0"),
    ("ll-chmod", "import os; open('m', 'w').close(); os.chmod('m', 0o751); oct(os.stat('m').st_mode)", r"'0o100644'"),
    ("ll-chmod", "import os; open('t', 'w').close(); os.utime('t', (1, 1)); os.stat('t').st_mtime > 1", r"True"),
    ("ll-chown", "import os; open('o', 'w').close(); os.chown('o', os.getuid(), -1)", r"OSError: .*"),
    ("ll-chown", "import os; open('o', 'w').close(); os.setxattr('o', 'user.a', b'')", r"OSError: .*"),
    ("ll-paths", "import os; os.getcwd() != '/workspace' and '/run/' in os.getcwd()", r"True"),
    ("ll-tmp", "open('/tmp/x', 'w')", r"PermissionError: .*"),
    ("ll-tmp", "import tempfile; tempfile.gettempdir() != '/tmp' and bool(tempfile.mkdtemp())", r"True"),
    ("ll-dev", "import os; os.listdir('/dev')", r"PermissionError: .*"),
    ("ll-dev", "import os; os.listdir('/proc')", r"PermissionError: .*"),
    ("ll-dev", "import pty; pty.openpty()", r"OSError: .*"),
    ("ll-stat", "import os; os.stat('/etc/shadow').st_size > 0", r"True"),
    ("ll-stat", "open('/etc/hostname')", r"PermissionError: .*"),
    ("ll-nice", "import os; os.nice(1)", r"PermissionError: .*"),
    ("ll-nice", "import ctypes; c = ctypes.CDLL(None); c.inotify_add_watch(c.inotify_init(), b'.', 2)", r"-1"),
    ("ll-host", "import os; os.getpid() > 2", r"True"),
]  # fmt: skip


ALLOWED_DEVICES = {"null", "zero", "full", "random", "urandom", "ptmx", "tty"}


def _tries(name: str) -> None:
    """Begin a test of this row; skip it where the row is about a level that this run does not have."""
    level = re.search(r"\((namespaces|landlock)\)$", ROWS[name])
    here = "landlock" if ISOLATION == "landlock" else "namespaces"
    if level and level[1] != here:
        pytest.skip(f"the row is about level {level[1]}, and this run is at {here}")


def _came(execution: ExecutionData) -> str:
    return str(execution.exception) if execution.exception is not None else str(execution.text)


def test_every_row_is_tried() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert {name for name, _, _ in CELLS} | set(re.findall(r'_tries\("([a-z-]+)"\)', source)) == set(ROWS)


@pytest.mark.parametrize(("name", "code", "outcome"), CELLS)
async def test_the_row_says_what_happens(box: LocalSandbox, name: str, code: str, outcome: str) -> None:
    _tries(name)
    came = _came(await box.run(code, check=False))
    assert re.fullmatch(outcome, came, re.DOTALL), came


async def test_what_a_dying_execution_changed_is_gone_and_files_stay(box: LocalSandbox) -> None:
    _tries("half")
    await box.run("x = [1]")
    with pytest.raises(SandboxCrashedError) as crash:
        await box.run("x.append(2); open('f', 'w').close(); import os; os._exit(1)")
    assert (crash.value.execution.state, crash.value.execution.state.restored_to) == ("restored", 1)
    assert _came(await box.run("x")) == "[1]"
    assert await box.files.exists("f")


OPAQUE = """
import asyncio, socket, subprocess, threading
def count():
    yield from range(3)
async def wait():
    await asyncio.sleep(0)
generator = count(); next(generator)
loop = asyncio.new_event_loop(); task = loop.create_task(wait())
stop = threading.Event(); thread = threading.Thread(target=stop.wait, daemon=True); thread.start()
process = subprocess.Popen(["sleep", "1000"])
ends = socket.socketpair()
other = 1
"""


async def test_parts_of_a_running_program_are_named_and_raise(box: LocalSandbox) -> None:
    _tries("opaque")
    names = {"generator", "task", "thread", "process", "ends"}
    execution = await box.run(OPAQUE)
    assert names <= set(execution.state.lost_names)
    assert "other" not in execution.state.lost_names
    await box.stop()
    await box.start()
    for name in names:
        assert _came(await box.run(f"{name}.anything", check=False)).startswith(f"StateLost: {name} (")
    assert _came(await box.run("other")) == "1"


async def test_what_nothing_of_the_session_refers_to_is_not_kept_without_a_word(box: LocalSandbox) -> None:
    _tries("unseen")
    fresh = (await box.run("import atexit, math\natexit._ncallbacks()")).text
    execution = await box.run(
        f"atexit.register(print)\ndel math.pi\natexit._ncallbacks() - {fresh}, hasattr(math, 'pi')"
    )
    assert (execution.text, execution.state.lost_names) == ("(1, False)", ())
    await box.stop()
    await box.start()
    assert (await box.run(f"atexit._ncallbacks() - {fresh}, math.pi > 3")).text == "(0, True)"


async def test_files_outside_of_the_workspace_are_not_kept(box: LocalSandbox) -> None:
    _tries("outside")
    await box.run("import os\npath = os.environ['TMPDIR'] + '/x'\nfor p in (path, 'mine'): open(p, 'w').close()")
    await box.stop()
    await box.start()
    assert _came(await box.run("os.path.exists(path), os.path.exists('mine')")) == "(False, True)"


async def test_what_is_no_file_and_rights_that_a_file_lends_are_not_kept(box: LocalSandbox) -> None:
    _tries("special")
    code = "import os, stat\nos.mkfifo('pipe')\nopen('lends', 'w').close()\nos.chmod('lends', 0o2755)"
    assert (await box.run(code)).warnings == ("pipe is not kept: it is a FIFO",)
    (fork,) = await box.fork()
    try:
        assert _came(await fork.run("os.path.exists('pipe'), os.stat('lends').st_mode & stat.S_ISGID")) == "(False, 0)"
    finally:
        await fork.delete()


async def test_a_fork_draws_the_same_numbers_unless_it_is_reseeded(box: LocalSandbox) -> None:
    _tries("rng")
    await box.run("import os, random")
    forks = [*await box.fork(), *await box.fork(reseed=True)]
    try:
        same, other = [_came(await fork.run("random.random()")) for fork in forks]
        assert _came(await box.run("random.random()")) == same != other
        secrets = {_came(await one.run("os.urandom(8)")) for one in (box, *forks)}
        assert len(secrets) == 3
    finally:
        for fork in forks:
            await fork.delete()


async def test_the_checkpoints_of_a_fork_begin_with_it(box: LocalSandbox) -> None:
    _tries("fork-past")
    await box.run("x = 1")
    await box.run("x = 2")
    (fork,) = await box.fork()
    try:
        with pytest.raises(CheckpointNotFound):
            await fork.rollback(1)
        assert _came(await fork.run("x")) == "2"
    finally:
        await fork.delete()


async def test_a_session_is_open_in_one_process_at_a_time(box: LocalSandbox) -> None:
    _tries("busy")
    await box.run("x = 1")
    code = f"from sandbox.sync import LocalSandbox\nLocalSandbox(session_id={box.session_id!r}).start()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "SessionBusy: the session" in done.stderr


async def test_background_programs_end_with_the_worker(box: LocalSandbox) -> None:
    _tries("background")
    program = await box.command.start("sleep", ["1000"])
    await box.run("import os; os._exit(1)", check=False)
    async with asyncio.timeout(10):
        ended = await program.wait()
    assert ended.exit_code == -9


async def test_executions_run_one_at_a_time(box: LocalSandbox) -> None:
    _tries("sequential")
    first, second = await asyncio.gather(
        box.run("import time; sum(range(1_000_000)); end = time.monotonic()"), box.run("time.monotonic() > end")
    )
    assert (first.number, second.number, second.text) == (1, 2, "True")


async def test_a_task_begins_in_a_cell_that_awaits(box: LocalSandbox) -> None:
    _tries("create-task")
    code = "import asyncio\nasync def f(): return 7\nawait asyncio.create_task(f())"
    assert (await box.run(code)).text == "7"


@pytest.fixture
def editable() -> Iterator[Path]:
    """An environment with a package whose files lie elsewhere, as an editable installation has it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        venv.create(directory / "venv", with_pip=False)
        (directory / "source").mkdir()
        (directory / "source" / "mine.py").touch()
        (site,) = (directory / "venv" / "lib").glob("python*/site-packages")
        (site / "mine.pth").write_text(f"{directory / 'source'}\n", encoding="utf-8")
        subprocess.run([directory / "venv" / "bin" / "python", "-c", "import mine"], check=True)
        yield directory / "venv"


async def test_an_editable_package_is_not_visible(editable: Path) -> None:
    _tries("editable")
    engine = EngineThread(parked=0)
    try:
        async with LocalSandbox(engine=engine, environment=editable) as box:
            came = _came(await box.run("import mine", check=False))
    finally:
        engine.close()
    assert came == "ModuleNotFoundError: No module named 'mine'"


async def test_what_ignores_an_interrupt_loses_what_it_has_changed(box: LocalSandbox) -> None:
    _tries("ctrl-c")
    await box.run("x = 1")
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); x = 2\nwhile True: pass"
    execution = await box.run(ignoring, timeout=0.1, check=False)
    assert (execution.cause, execution.state) == ("timeout", "restored")
    assert _came(await box.run("x")) == "1"
    assert 2 <= execution.execution_time < 20


async def test_temporary_files_are_not_reported(box: LocalSandbox) -> None:
    _tries("history")
    code = (
        "import os; open(os.environ['TMPDIR'] + '/x', 'w').close(); os.mkdir('__pycache__'); open('__pycache__/a', 'w')"
    )
    assert not (await box.run(code)).files
    assert list((await box.run("open('seen', 'w').close()")).files) == ["seen"]


def _devices() -> list[str]:
    """The devices that this user may open on the host, apart from those that every sandbox has."""
    return [
        str(path)
        for path in Path("/dev").rglob("*")
        if stat.S_ISCHR(path.lstat().st_mode)
        and os.access(path, os.R_OK)
        and path.name not in ALLOWED_DEVICES
        and "watchdog" not in path.name  # opening one resets the machine some time later
    ]


OPENED = """
import os
def opens(path):
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
"""


async def test_no_device_of_the_host_opens(box: LocalSandbox) -> None:
    _tries("gpu")
    assert _came(await box.run(f"{OPENED}opens('/dev/null')")) == "True"
    devices = _devices()
    if not devices:
        pytest.skip("the host itself can open none")
    assert _came(await box.run(f"[path for path in {devices} if opens(path)]")) == "[]"


async def test_code_can_exceed_the_disk_limit_for_a_moment(make: Make) -> None:
    _tries("disk")
    box = make(disk=1)
    await box.start()
    code = "for n in range(5): open(str(n), 'wb').write(bytes(900_000))\nprint('written')\nwhile True: pass"
    for _ in range(5):  # the engine may look in the few milliseconds that writing takes
        execution = await box.run(code, check=False)
        assert execution.cause == "disk"
        if execution.stdout:
            break
        await box.command.shell("rm -f ?")
    assert execution.stdout == "written\n"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of the host that sandboxes may reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


WRITES = """
import time
for n in range(3):
    with open(f"{path}/{n}", "wb") as file:
        file.write(bytes(900_000))
time.sleep(0.5)
"""


def _bytes_in(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())


async def test_what_is_written_to_a_mount_does_not_count(make: Make, directory: Path) -> None:
    _tries("disk-mounts")
    if ISOLATION == "landlock":
        pytest.skip("there a directory has to keep its path, and one below /tmp cannot be shown")
    box = make(disk=1, files={"/out": Mount(directory, writable=True)})
    await box.start()
    await box.run(f"path = '/out'{WRITES}")
    assert _bytes_in(directory) == 2_700_000


async def test_a_socket_in_a_directory_that_is_shown_can_be_connected_to(make: Make, directory: Path) -> None:
    _tries("mount-sockets")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(directory / "socket"))
        server.listen()
        box = make(files={"/shown": directory})
        await box.start()
        code = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/shown/socket')"
        await box.run(code)
        assert _came(await box.run("open('/shown/new', 'w')", check=False)).startswith("OSError")


async def test_one_file_is_held_by_the_kernel(make: Make) -> None:
    _tries("disk")
    box = make(disk=1)
    await box.start()
    came = await box.run("open('one', 'wb').write(bytes(2_000_000))", check=False)
    assert (came.cause, came.status) == ("disk", "error")


async def test_a_workspace_has_at_most_100_000_files(box: LocalSandbox) -> None:
    _tries("files-many")
    code = "import os\nfor n in range(100_100): os.close(os.open(str(n), os.O_CREAT))\nwhile True: pass"
    execution = await box.run(code, check=False, timeout=50)
    assert execution.cause == "disk"


async def test_there_are_no_unix_sockets_with_the_network_of_the_host_too() -> None:
    _tries("ll-sockets")
    code = "import socket; socket.socket().close(); socket.socket(socket.AF_UNIX)"
    engine = EngineThread(parked=0)
    try:
        async with LocalSandbox(engine=engine, network="host") as box:
            execution = await box.run(code, check=False)
    finally:
        engine.close()
    assert _came(execution).startswith("PermissionError")
    assert execution.exception is not None
    assert "AF_UNIX" in execution.exception.traceback


async def test_a_mount_keeps_its_path(make: Make) -> None:
    _tries("ll-mounts")
    with pytest.raises(UsageError, match="a path stays what it is on the host"):
        await make(files={"/data": "/usr/share"}).start()
    box = make(files={"/var/lib/dpkg": "/var/lib/dpkg"})
    await box.start()
    assert _came(await box.run("import os; len(os.listdir('/var/lib/dpkg')) > 0")) == "True"


async def test_the_name_of_the_host_is_visible(box: LocalSandbox) -> None:
    _tries("ll-host")
    assert _came(await box.run("import socket; socket.gethostname()")) == repr(socket.gethostname())


def test_every_row_has_a_reason() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ") and "| why |" not in line]
    assert len(rows) >= len(ROWS)
    assert [row for row in rows if len(row) != 2 or not row[1].endswith(".")] == []
