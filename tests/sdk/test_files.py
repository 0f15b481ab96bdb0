"""`sandbox.files` against a real sandbox: what goes in comes out, bounded in memory, beside code that interferes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import sandbox.sync
from sandbox import LocalSandbox, SandboxClosedError, SandboxFileError, SandboxFileNotFoundError, UsageError
from sandbox.engine.thread import EngineThread
from sandbox.protocol import messages as m
from sandbox.results import Files as Changed

Make = Callable[..., LocalSandbox]
MB = 1 << 20


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


# --- reading and writing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"x", bytes(range(256)), "text ä€\n\0", bytearray(b"array"), memoryview(b"view")]
)
async def test_what_is_written_is_read(box: LocalSandbox, data: bytes | str) -> None:
    await box.files.write("a/b/file", data)
    expected = data.encode() if isinstance(data, str) else bytes(data)
    assert await box.files.read("a/b/file") == expected
    assert await box.files.read("/workspace/a/b/file") == expected
    if isinstance(data, str):
        assert await box.files.read_text("a/b/file") == data


async def test_code_inside_sees_and_may_change_what_was_written(box: LocalSandbox) -> None:
    await box.files.write("file", "from outside")
    result = await box.run("open('file').read(), open('file', 'a').write(' and inside')")
    assert result.text == "('from outside', 11)"
    assert await box.files.read_text("file") == "from outside and inside"
    await box.run("import os; os.remove('file'); os.mkdir('made'); open('made/inside', 'w').write('x')")
    assert not await box.files.exists("file")
    assert await box.files.read("made/inside") == b"x"


async def test_paths_may_be_objects(box: LocalSandbox) -> None:
    await box.files.write(Path("a/b"), "x")
    assert await box.files.read(PurePosixPath("a/b")) == b"x"
    await box.files.rename(Path("a/b"), Path("a/c"))
    assert [entry.path for entry in await box.files.list(Path("a"))] == ["a/c"]
    await box.files.remove(Path("a"), recursive=True)
    assert not await box.files.exists(Path("a"))


@pytest.mark.parametrize("path", [5, None, b"bytes", ["list"], "half \ud800"])
async def test_what_is_no_path_is_named(box: LocalSandbox, path: Any) -> None:
    for call in (box.files.read, box.files.stat, box.files.make_dir, box.files.remove, box.files.list):
        with pytest.raises(UsageError, match=r"^path "):
            await call(path)
    with pytest.raises(UsageError, match=r"^target "):
        await box.files.rename("x", path)


async def test_a_file_is_not_made_under_the_name_of_a_directory(box: LocalSandbox) -> None:
    with pytest.raises(UsageError, match="names a directory"):
        await box.files.write("d/", "x")
    assert await box.files.list() == []


async def test_text_has_the_encoding_that_is_asked_for(box: LocalSandbox) -> None:
    await box.files.write("latin", "ä".encode("latin-1"))
    assert await box.files.read_text("latin", encoding="latin-1") == "ä"
    with pytest.raises(UnicodeDecodeError):
        await box.files.read_text("latin")


@pytest.mark.parametrize("data", [5, None, ["x"]])
async def test_what_is_neither_bytes_nor_text_is_refused(box: LocalSandbox, data: object) -> None:
    with pytest.raises(UsageError, match=r"data is .*, neither bytes nor a text"):
        await box.files.write("file", data)  # type: ignore[arg-type]
    assert not await box.files.exists("file")


@pytest.mark.parametrize("size", [MB - 1, MB, MB + 1, 8 * MB, 8 * MB + 1, 17 * MB])
async def test_large_content_comes_through_whole(box: LocalSandbox, size: int) -> None:
    content = os.urandom(size)
    await box.files.write("large", content)
    assert (await box.files.stat("large")).size == size
    assert await box.files.read("large") == content


async def collect(chunks: AsyncGenerator[bytes]) -> list[bytes]:
    async with aclosing(chunks):
        return [chunk async for chunk in chunks]


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, None),
        (0, 0),
        (5, 10),
        (MB - 1, 2),
        (8 * MB - 1, 2),
        (8 * MB, None),
        (9 * MB, None),
        (3, 20 * MB),
        (50 * MB, 5),
    ],
)
async def test_chunks_are_the_part_that_is_asked_for(box: LocalSandbox, offset: int, length: int | None) -> None:
    content = os.urandom(9 * MB)
    await box.files.write("large", content)
    chunks = await collect(box.files.chunks("large", offset, length))
    end = None if length is None else offset + length
    assert b"".join(chunks) == content[offset:end]
    assert all(0 < len(chunk) <= MB for chunk in chunks)


async def test_chunks_may_be_given_up(box: LocalSandbox) -> None:
    await box.files.write("large", bytes(20 * MB))
    async with aclosing(box.files.chunks("large")) as chunks:
        assert len(await anext(chunks)) == m.PIECE
    assert await box.files.read("large") == bytes(20 * MB)


async def test_a_part_that_cannot_be_is_refused(box: LocalSandbox) -> None:
    await box.files.write("file", b"x")
    for offset, length in ((-1, None), (0, -1)):
        with pytest.raises(UsageError, match=r"offset=|length="):
            await collect(box.files.chunks("file", offset, length))


async def test_a_file_that_vanishes_between_two_parts_is_an_error(box: LocalSandbox) -> None:
    await box.files.write("large", bytes(20 * MB))
    with pytest.raises(SandboxFileNotFoundError):  # noqa: PT012 - the first part comes, the second does not
        async with aclosing(box.files.chunks("large")) as chunks:
            await anext(chunks)
            await box.files.remove("large")
            async for _ in chunks:
                pass


# --- directories ----------------------------------------------------------------------------------------------------


async def test_directories_are_listed_described_and_removed(box: LocalSandbox) -> None:
    await box.files.write("a/file", b"123")
    await box.files.make_dir("a/deep/er")
    await box.run("import os; os.symlink('a', 'link')")
    assert [(info.path, info.kind) for info in await box.files.list()] == [("a", "directory"), ("link", "link")]
    assert [info.path for info in await box.files.list(recursive=True)] == [
        "a",
        "a/deep",
        "a/deep/er",
        "a/file",
        "link",
    ]
    info = await box.files.stat("a/file")
    assert (info.name, info.size, info.mode, info.kind, info.is_dir) == ("file", 3, 0o644, "file", False)
    assert (await box.files.stat("link")).target == "a"
    assert (await box.files.stat("a/deep")).is_dir
    with pytest.raises(SandboxFileError, match="directory not empty"):
        await box.files.remove("a")
    await box.files.remove("a", recursive=True)
    await box.files.remove("link")
    assert await box.files.list() == []


async def test_files_are_renamed(box: LocalSandbox) -> None:
    await box.files.write("a", b"a")
    await box.files.write("b", b"b")
    await box.files.rename("a", "b")
    await box.files.rename("b", "new/directory/c")
    assert await box.files.read("new/directory/c") == b"a"
    assert (await box.run("open('new/directory/c').read()")).text == "'a'"


async def test_existence_is_asked_for_without_an_error(box: LocalSandbox) -> None:
    await box.files.write("file", b"")
    await box.run("import os; os.symlink('nowhere', 'dangling')")
    expected = {"file": True, ".": True, "dangling": True, "nothing": False, "no/such": False, "file/below": False}
    assert {path: await box.files.exists(path) for path in expected} == expected


async def test_errors_are_the_built_in_ones_too(box: LocalSandbox) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        await box.files.read("nothing")
    assert isinstance(caught.value, SandboxFileNotFoundError)
    assert str(caught.value) == "cannot read 'nothing': no such file or directory"
    assert caught.value.filename == "nothing"
    with pytest.raises(OSError, match="cannot list 'nothing'"):
        await box.files.list("nothing")
    with pytest.raises(UsageError, match="outside the workspace"):
        await box.files.read("/etc/passwd")


async def test_nothing_outside_is_reached_through_links_that_code_made(box: LocalSandbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"SECRET")
    await box.run(f"import os; os.symlink({str(tmp_path)!r}, 'out'); os.symlink('/proc/self/root', 'root')")
    for path in ("out/secret", f"root{tmp_path}/secret"):
        for call in (
            box.files.read(path),
            box.files.write(path, b"HACKED"),
            box.files.list(os.path.dirname(path)),
            box.files.remove(path),
            box.files.rename(path, "taken"),
        ):
            with pytest.raises(SandboxFileError, match="leads out of the workspace"):
                await call
    assert (tmp_path / "secret").read_bytes() == b"SECRET"


ODD = """
import os, socket
os.mkfifo('fifo')
try:
    bound = socket.socket(socket.AF_UNIX)
    bound.bind('socket')
except PermissionError:  # without a network namespace there are no sockets
    os.mkfifo('socket')
"""


async def test_odd_files_that_code_made_hold_nothing_up(box: LocalSandbox) -> None:
    await box.run(ODD)
    for path in ("fifo", "socket"):
        with pytest.raises(SandboxFileError, match="not a regular file"):
            await box.files.read(path)
        with pytest.raises(SandboxFileError, match="not a regular file"):
            await box.files.write(path, b"x")
    assert [info.kind for info in await box.files.list()] == ["other", "other"]


# --- up and down ----------------------------------------------------------------------------------------------------


async def test_a_file_goes_up_and_down(box: LocalSandbox, tmp_path: Path) -> None:
    content = os.urandom(3 * MB + 7)
    (tmp_path / "data.bin").write_bytes(content)
    assert await box.files.upload(tmp_path / "data.bin") == "data.bin"
    assert await box.files.upload(str(tmp_path / "data.bin"), "sub/other.bin") == "sub/other.bin"
    assert await box.files.upload(tmp_path / "data.bin", "sub") == "sub/data.bin"
    assert await box.files.upload(tmp_path / "data.bin", "new/") == "new/data.bin"
    digest = hashlib.sha256(content).hexdigest()
    code = "import hashlib; [hashlib.sha256(open(p, 'rb').read()).hexdigest() for p in ('data.bin', 'sub/other.bin')]"
    assert (await box.run(code)).text == str([digest, digest])
    (tmp_path / "down").mkdir()
    assert await box.files.download("sub/other.bin", tmp_path / "down") == tmp_path / "down" / "other.bin"
    assert await box.files.download("data.bin", tmp_path / "named") == tmp_path / "named"
    assert (tmp_path / "named").read_bytes() == (tmp_path / "down" / "other.bin").read_bytes() == content
    listed = [info.path for info in await box.files.list(recursive=True)]
    assert listed == ["data.bin", "new", "new/data.bin", "sub", "sub/data.bin", "sub/other.bin"]
    assert names(tmp_path) == ["data.bin", "down", "named"]


async def test_without_a_place_a_download_goes_to_the_current_directory(
    box: LocalSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await box.files.write("a/b.txt", b"x")
    assert await box.files.download("a/b.txt") == Path("b.txt")
    assert (tmp_path / "b.txt").read_bytes() == b"x"


async def test_an_empty_file_and_the_longest_name_go_up_and_down(box: LocalSandbox, tmp_path: Path) -> None:
    (tmp_path / ("x" * 255)).touch()
    await box.files.upload(tmp_path / ("x" * 255))
    (tmp_path / ("x" * 255)).unlink()
    await box.files.download("x" * 255, tmp_path)
    assert names(tmp_path) == ["x" * 255]


async def test_a_file_that_is_not_there_leaves_nothing_behind(box: LocalSandbox, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await box.files.upload(tmp_path / "nothing")
    with pytest.raises(SandboxFileNotFoundError, match="cannot read 'nothing'"):
        await box.files.download("nothing", tmp_path)
    with pytest.raises(FileNotFoundError):
        await box.files.download("nothing", tmp_path / "no" / "such")
    assert await box.files.list() == []
    assert names(tmp_path) == []


async def test_an_upload_that_is_given_up_leaves_nothing_behind(box: LocalSandbox, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(600 * MB)
    upload = asyncio.create_task(box.files.upload(tmp_path / "large"))
    async with asyncio.timeout(10):
        while not await box.files.list():
            pass
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    async with asyncio.timeout(10):
        while await box.files.list():
            pass


async def test_a_download_replaces_a_file_unless_told_not_to(box: LocalSandbox, tmp_path: Path) -> None:
    await box.files.write("file", "new")
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileExistsError, match="there is such a file already"):
        await box.files.download("file", tmp_path, replace=False)
    assert (tmp_path / "file").read_text() == "old"
    await box.files.download("file", tmp_path)
    assert (tmp_path / "file").read_text() == "new"
    assert await box.files.download("file", tmp_path / "other", replace=False) == tmp_path / "other"
    assert names(tmp_path) == ["file", "other"]


async def test_what_is_missing_here_is_named(box: LocalSandbox, tmp_path: Path) -> None:
    await box.files.write("file", "x")
    with pytest.raises(FileNotFoundError, match=r"there is no directory to download to: '.*/nowhere'"):
        await box.files.download("file", tmp_path / "nowhere" / "file")
    with pytest.raises(IsADirectoryError, match=f"upload copies one file, and this is a directory: '{tmp_path}'"):
        await box.files.upload(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        await box.files.upload(tmp_path / "missing")
    assert [entry.path for entry in await box.files.list()] == ["file"]


async def test_a_download_that_fails_leaves_what_was_there(box: LocalSandbox, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    await box.run("import os; os.mkfifo('file')")
    with pytest.raises(SandboxFileError):
        await box.files.download("file", tmp_path / "file")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


MEDDLE = """
import os, threading
stop = threading.Event()
def meddle():
    while not stop.is_set():
        for name in os.listdir('.'):
            if name.startswith('.part-'):
                try:
                    ACTION
                except OSError:
                    pass
thread = threading.Thread(target=meddle)
thread.start()
"""


@pytest.mark.parametrize(
    "action", ["os.unlink(name)", "os.truncate(name, 5)", "os.unlink(name); os.symlink('/', name)", "os.chmod(name, 0)"]
)
async def test_code_that_meddles_with_an_upload_is_found_out(box: LocalSandbox, tmp_path: Path, action: str) -> None:
    """Inside it is another user on a host that is root, and the same one otherwise: it can reach the part."""
    content = os.urandom(20 * MB)
    (tmp_path / "data").write_bytes(content)
    await box.run(MEDDLE.replace("ACTION", action))
    try:
        await box.files.upload(tmp_path / "data")
    except SandboxFileError:
        assert not await box.files.exists("data")
    else:
        await box.run("stop.set(); thread.join(); import os; os.chmod('data', 0o600)")
        assert await box.files.read("data") == content
    await box.run("stop.set(); thread.join()")


async def test_uploads_at_once_to_one_place_give_one_of_them_whole(box: LocalSandbox, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 3 * MB)
    await asyncio.gather(*(box.files.upload(tmp_path / name, "same") for name in "abc"))
    content = await box.files.read("same")
    assert len(content) == 3 * MB
    assert len(set(content)) == 1
    assert [info.path for info in await box.files.list()] == ["same"]


BOUNDED = """
import asyncio, hashlib, os, resource, sys
from pathlib import Path
from sandbox import LocalSandbox
from sandbox.engine.thread import default_engine

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

async def main(directory):
    box = LocalSandbox(disk=1024)
    await box.start()
    await box.run("1")
    # Warm: what both directions load and allocate once.
    await box.files.upload(directory / "small")
    await box.files.download("small", directory / "small again")
    before = peak()
    await box.files.upload(directory / "large")
    up = peak()
    await box.files.download("large", directory / "large again")
    down = peak()
    chunks = box.files.chunks("large")
    await anext(chunks)
    while default_engine().busy():
        await asyncio.sleep(0.01)  # whoever reads slowly lets the engine run ahead as far as it may
    slow = peak()
    await chunks.aclose()
    await box.delete()
    print(up - before, down - up, slow - down)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_three_hundred_megabytes_go_up_and_down_in_little_memory(tmp_path: Path) -> None:
    """In a process of its own, whose peak is this alone."""
    (tmp_path / "small").write_bytes(bytes(9 * MB))
    digest = hashlib.sha256()
    with (tmp_path / "large").open("wb") as file:
        for number in range(300):
            piece = number.to_bytes(2, "big") * (MB // 2)
            digest.update(piece)
            file.write(piece)
    environment = {**os.environ, "SANDBOX_HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir(mode=0o711)
    tmp_path.chmod(0o711)
    command = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    # The bounds are a tenth of the file, and what a window of it takes on its way twice over.
    assert all(float(grown) < 30 for grown in done.stdout.split()), done.stdout
    with (tmp_path / "large again").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.hexdigest()


# --- watching -------------------------------------------------------------------------------------------------------


async def seen(changes: AsyncGenerator[m.FilesChanged], *wanted: tuple[str, str]) -> None:
    """Take changes until these have come."""
    missing = set(wanted)
    async with asyncio.timeout(20):
        while missing:
            change = await anext(changes)
            missing.discard((change.path, change.kind))


async def begun(box: LocalSandbox, changes: AsyncGenerator[m.FilesChanged]) -> None:
    """Wait until a watch is in place: make changes until one is reported."""
    first = asyncio.ensure_future(anext(changes))
    while not first.done():
        await box.files.write("begin", b"x")
    await first


async def test_changes_that_code_makes_are_seen(box: LocalSandbox) -> None:
    async with aclosing(box.files.watch()) as changes:
        await begun(box, changes)
        await box.run("open('file', 'w').close()")
        await seen(changes, ("file", "created"))
        await box.run("open('file', 'a').write('x')")
        await seen(changes, ("file", "modified"))
        await box.run("import os; os.rename('file', 'renamed')")
        await seen(changes, ("file", "deleted"), ("renamed", "created"))
        await box.run("os.remove('renamed'); os.makedirs('a/b'); open('a/b/c', 'w').close()")
        await seen(changes, ("renamed", "deleted"), ("a", "created"), ("a/b/c", "created"))


def inotify_instances() -> int:
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:inotify"
    return count


async def test_a_watch_ends_with_its_iteration(box: LocalSandbox) -> None:
    async with aclosing(box.files.watch()) as changes:
        await begun(box, changes)
        assert inotify_instances() == 1
    async with asyncio.timeout(10):
        while inotify_instances():
            await box.files.stat(".")
    assert (await box.run("1")).text == "1"


async def test_a_watch_that_is_cancelled_is_over(box: LocalSandbox) -> None:
    changes = box.files.watch()
    await begun(box, changes)
    await box.files.make_dir("the last change")
    await seen(changes, ("the last change", "created"))
    waiting = asyncio.ensure_future(anext(changes))
    await box.files.stat(".")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(10):
        while inotify_instances():
            await box.files.stat(".")
    with pytest.raises(StopAsyncIteration):
        await anext(changes)


@pytest.mark.parametrize("end", ["stop", "delete"])
async def test_a_watch_ends_with_its_sandbox(make: Callable[..., LocalSandbox], end: str) -> None:
    box = make()
    await box.start()
    changes = box.files.watch()
    await begun(box, changes)
    await getattr(box, end)()
    with pytest.raises(SandboxClosedError, match="not watched any more"):
        await seen(changes, ("what does not happen", "created"))
    assert inotify_instances() == 0
    if end == "stop":
        await box.start()


async def test_what_cannot_be_watched_is_an_error(box: LocalSandbox) -> None:
    with pytest.raises(SandboxFileNotFoundError, match="cannot watch 'nothing'"):
        await anext(box.files.watch("nothing"))


# --- without async --------------------------------------------------------------------------------------------------


def test_the_synchronous_flavour_does_the_same(engine: EngineThread, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(bytes(3 * MB))
    with sandbox.sync.LocalSandbox(name="test") as box:
        box.files.write("a/file", "text")
        assert box.files.read_text("a/file") == "text"
        assert b"".join(box.files.chunks("a/file", 1, 2)) == b"ex"
        assert box.files.upload(tmp_path / "up", "a/") == "a/up"
        assert box.files.download("a/up", tmp_path / "down").read_bytes() == bytes(3 * MB)
        assert [info.path for info in box.files.list(recursive=True)] == ["a", "a/file", "a/up"]
        assert not box.files.exists("nothing")
        with pytest.raises(FileNotFoundError):
            box.files.read("nothing")
        box.delete()


# --- what the host changes, and what the code ----------------------------------------------------------------------


async def test_what_the_host_changes_is_no_change_of_the_next_execution(box: LocalSandbox) -> None:
    await box.run("import os; os.makedirs('real'); os.symlink('real', 'link'); open('old', 'w').close()")
    await box.files.write("in.csv", "x")
    await box.files.write("link/deep/in.csv", bytes(3 * MB))
    assert (await box.run("1")).files == Changed()
    await box.files.rename("link", "other")
    await box.files.rename("real/deep", "moved")
    await box.files.remove("old")
    assert (await box.run("open('in.csv', 'a').write('y')")).files == Changed(modified=("in.csv",))
    await box.files.remove("moved", recursive=True)
    assert (await box.command.run("true")).files == Changed()


async def test_what_the_host_has_written_is_saved_with_the_next_execution(box: LocalSandbox) -> None:
    await box.run("1")
    await box.files.write("in.csv", "x")
    await box.run("2")
    made = box.checkpoints()[-1]
    await box.files.remove("in.csv")
    await box.rollback(made)
    assert await box.files.read_text("in.csv") == "x"


async def test_a_file_that_does_not_fit_is_refused_as_a_whole(make: Make) -> None:
    box = await make(disk=4).start()
    await box.files.write("huge", "as it was")
    with pytest.raises(UsageError, match=rf"writing {8 * MB} bytes to 'huge' exceeds disk=4 MB"):
        await box.files.write("huge", bytes(8 * MB))
    assert await box.files.read_text("huge") == "as it was"


async def test_a_part_of_a_file_is_not_left_as_if_it_were_the_whole(make: Make) -> None:
    """There is room at first, and then the code takes it."""
    box = await make(disk=8).start()
    ask, filled = box.files._connection.ask, False

    async def slow(request: m.Request, answer: Any) -> Any:
        nonlocal filled
        if isinstance(request, m.WriteFile) and request.append and not filled:
            filled = True
            await box.run(f"open('filler', 'wb').write(bytes({5 * MB}))")
        return await ask(request, answer)

    box.files._connection.ask = slow  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=f"writing {4 * MB} bytes"):
        await box.files.write("huge", bytes(4 * MB))
    assert [info.path for info in await box.files.list()] == ["filler"]


async def test_what_is_used_and_its_limit_are_in_one_unit(make: Make) -> None:
    box = await make(disk=64).start()
    await box.files.write("a", bytes(32 * MB))
    figures = await box.metrics.all()
    assert figures["disk_usage"] / figures["disk_limit"] == pytest.approx(0.5, abs=0.001)
