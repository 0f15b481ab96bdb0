"""E2B's files: content, directories, URLs, watching."""

from __future__ import annotations

import io
import urllib.request
from typing import Any

import pytest
from e2b import (
    AsyncSandbox,
    FileNotFoundException,
    FilesystemEventType,
    FileType,
    InvalidArgumentException,
    SandboxException,
)
from e2b.sandbox.filesystem.filesystem import WriteEntry
from tests.server.compat.conftest import until


def test_a_watcher_too_many_costs_none_of_the_others(box: Any) -> None:
    box.files.make_dir("watched")
    there = [box.files.watch_dir("watched") for _ in range(16)]
    for _ in range(2):
        with pytest.raises(SandboxException, match="16 watchers"):
            box.files.watch_dir("watched")
    box.files.write("watched/f", "1")
    for one in (there[0], there[-1]):
        assert until(one.get_new_events)
    for one in there:
        one.stop()


def test_a_file_is_written_and_read_in_every_form(box: Any) -> None:
    info = box.files.write("deep/er/text.txt", "grüße")
    assert (info.name, info.path) == ("text.txt", "/home/user/deep/er/text.txt")
    assert box.files.read("/home/user/deep/er/text.txt") == "grüße"
    assert box.files.read("~/deep/er/text.txt", format="bytes") == "grüße".encode()
    assert b"".join(box.files.read("deep/er/text.txt", format="stream")) == "grüße".encode()
    assert box.run_code("open('deep/er/text.txt').read()").text == "grüße"
    box.run_code("open('made.bin', 'wb').write(bytes(range(256)))")
    assert box.files.read("made.bin", format="bytes") == bytes(range(256))


def test_large_and_packed_uploads_arrive_whole(box: Any) -> None:
    content = b"0123456789abcdef" * 200_000
    for number, more in enumerate(({}, {"use_octet_stream": True}, {"gzip": True})):
        box.files.write(f"large{number}", content, **more)
        assert box.files.read(f"large{number}", format="bytes") == content
    box.files.write("from-a-file", io.BytesIO(content))
    assert box.files.get_info("from-a-file").size == len(content)
    assert {one.name for one in box.files.list(".")} == {"large0", "large1", "large2", "from-a-file"}


@pytest.mark.needs_namespaces
def test_the_home_directory_is_there_for_code_and_commands_too(box: Any) -> None:
    box.files.write("/home/user/f", "1")
    assert box.run_code("open('/home/user/f').read()").text == "1"
    assert box.commands.run("cd /home/user && cat f").stdout == "1"


def test_several_files_are_written_at_once(box: Any) -> None:
    written = box.files.write_files([WriteEntry(path=f"many/{n}", data=str(n)) for n in range(3)])
    assert [one.path for one in written] == [f"/home/user/many/{n}" for n in range(3)]
    assert [box.files.read(f"many/{n}") for n in range(3)] == ["0", "1", "2"]


def test_directories_are_made_listed_renamed_and_removed(box: Any) -> None:
    assert box.files.make_dir("a/b")
    assert not box.files.make_dir("a/b")
    box.files.write("a/b/f", "1")
    box.run_code("import os; os.symlink('b', 'a/link')")
    near = {one.name: one.type for one in box.files.list("a")}
    assert near["b"] is FileType.DIR
    assert {one.path for one in box.files.list("a", depth=2)} >= {"/home/user/a/b", "/home/user/a/b/f"}
    moved = box.files.rename("a/b/f", "/home/user/g")
    assert (moved.path, moved.size, moved.permissions) == ("/home/user/g", 1, "-rw-r--r--")
    assert box.files.exists("g")
    assert not box.files.exists("a/b/f")
    box.files.remove("a")
    assert not box.files.exists("a")
    box.files.remove("a")


def test_what_is_not_there_or_beyond_the_workspace_is_an_error(box: Any) -> None:
    with pytest.raises(FileNotFoundException, match="missing"):
        box.files.read("missing")
    with pytest.raises(FileNotFoundException):
        box.files.list("missing")
    with pytest.raises(FileNotFoundException):
        box.files.get_info("missing")
    for path in ("/etc/passwd", "../up", "/home/user/../../etc/passwd"):
        with pytest.raises(InvalidArgumentException, match="outside the workspace"):
            box.files.read(path)
    with pytest.raises(InvalidArgumentException, match="'/etc/mine' is outside"):
        box.files.write("/etc/mine", "x")
    with pytest.raises(InvalidArgumentException, match="no root"):
        box.files.write("x", "x", user="root")
    box.files.write("file", "")
    with pytest.raises(InvalidArgumentException, match="no directory"):
        box.files.make_dir("file")


def test_a_url_stands_for_a_file(box: Any) -> None:
    box.files.write("some file.txt", "content")
    with urllib.request.urlopen(box.download_url("some file.txt", use_signature_expiration=100)) as answer:
        assert answer.read() == b"content"
    form = b'--B\r\nContent-Disposition: form-data; name="file"; filename="ignored"\r\n\r\nuploaded\r\n--B--\r\n'
    request = urllib.request.Request(
        box.upload_url("up.txt"), form, {"Content-Type": "multipart/form-data; boundary=B"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert box.files.read("up.txt") == "uploaded"


def test_changes_are_seen_by_who_asks(box: Any) -> None:
    box.files.make_dir("watched/below")
    plain, deep = box.files.watch_dir("watched"), box.files.watch_dir("watched", recursive=True)
    box.files.write("watched/f", "1")
    box.files.write("watched/below/g", "1")
    seen: list[Any] = []

    def has_seen_all() -> bool:
        seen.extend(deep.get_new_events())
        return any(one.name == "below/g" for one in seen)

    until(has_seen_all)
    assert ("f", FilesystemEventType.CREATE) in {(one.name, one.type) for one in seen}
    assert {one.name for one in plain.get_new_events()} == {"f"}
    box.files.remove("watched/f")
    removed = until(plain.get_new_events)
    assert (removed[0].name, removed[0].type) == ("f", FilesystemEventType.REMOVE)
    plain.stop()
    deep.stop()
    with pytest.raises(InvalidArgumentException):
        box.files.write("plain-file", "") and box.files.watch_dir("plain-file")


def test_a_burst_of_changes_is_said_to_be_too_much(box: Any) -> None:
    box.files.make_dir("busy")
    watch = box.files.watch_dir("busy")
    box.run_code("for n in range(15_000): open(f'busy/{n}', 'w').close()")
    from e2b import SandboxException

    def asked() -> str:
        try:
            watch.get_new_events()
        except SandboxException as error:
            return str(error)
        return ""

    assert "more has changed" in until(asked)
    watch.stop()


async def test_the_asynchronous_client_is_told_of_changes(key: str) -> None:
    import asyncio

    box = await AsyncSandbox.create()
    try:
        seen: asyncio.Queue[str] = asyncio.Queue()
        watch = await box.files.watch_dir(".", on_event=lambda event: seen.put_nowait(event.name))
        await box.files.write("new", b"x")
        assert await asyncio.wait_for(seen.get(), 30) == "new"
        await watch.stop()
    finally:
        await box.kill()
