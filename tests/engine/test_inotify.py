"""Watching a workspace: what changes is reported, nothing outside is, and hostile code cannot flood who looks."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self

import pytest

from sandbox.engine import inotify
from sandbox.engine.inotify import watch
from sandbox.engine.workspaces import Workspace
from sandbox.errors import SandboxFileError, SandboxFileNotFoundError, UsageError
from sandbox.protocol import messages as m

AtWork = Callable[[Path, str], AbstractContextManager[object]]
pytestmark = pytest.mark.usefixtures("no_new_descriptors")


class Watch:
    """A watch that runs while the block does, with what it has reported so far."""

    def __init__(self, workspace: Workspace, path: str = ".", *, recursive: bool = True) -> None:
        self._watch = watch(workspace, m.WatchFiles("s", path, recursive), self._take)
        self.seen: list[tuple[str, str]] = []
        self._arrived = asyncio.Event()

    def _take(self, event: m.Event) -> None:
        if isinstance(event, m.FilesChanged):
            self.seen.append((event.path, event.kind))
        self._arrived.set()

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._watch)
        await asyncio.wait([self.task, asyncio.ensure_future(self._arrived.wait())], return_when="FIRST_COMPLETED")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.task.done():
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def until(self, *wanted: tuple[str, str]) -> None:
        """Wait until these have been reported."""
        async with asyncio.timeout(10):
            while not set(wanted) <= set(self.seen):
                self._arrived.clear()
                await self._arrived.wait()

    async def until_quiet(self, workspace: Workspace) -> None:
        """Wait until a change that is made now is reported: what was lost in a flood is over."""
        async with asyncio.timeout(20):
            for number in itertools.count():
                (workspace.path / f"quiet {number}").touch()
                self._arrived.clear()
                await self._arrived.wait()
                if (f"quiet {number}", "created") in self.seen:
                    return


async def test_every_kind_of_change_is_reported(workspace: Workspace) -> None:
    async with Watch(workspace) as watching:
        (workspace.path / "file").write_bytes(b"x")
        await watching.until(("file", "created"), ("file", "modified"))
        (workspace.path / "file").rename(workspace.path / "renamed")
        await watching.until(("file", "deleted"), ("renamed", "created"))
        (workspace.path / "renamed").unlink()
        await watching.until(("renamed", "deleted"))
        (workspace.path / "directory").mkdir()
        (workspace.path / "link").symlink_to("nowhere")
        await watching.until(("directory", "created"), ("link", "created"))


async def test_many_writes_at_once_are_one_change(workspace: Workspace) -> None:
    with (workspace.path / "log").open("wb", buffering=0) as log:
        async with Watch(workspace) as watching:
            for _ in range(500):
                log.write(b"x")
            (workspace.path / "end").touch()
            await watching.until(("end", "created"))
    assert watching.seen.count(("log", "modified")) < 5


async def test_directories_that_appear_are_watched_with_what_is_in_them(workspace: Workspace) -> None:
    async with Watch(workspace) as watching:
        (workspace.path / "a" / "b").mkdir(parents=True)
        (workspace.path / "a" / "b" / "early").touch()
        await watching.until(("a", "created"), ("a/b", "created"), ("a/b/early", "created"))
        (workspace.path / "a" / "b" / "late").touch()
        await watching.until(("a/b/late", "created"))


async def test_a_directory_that_was_moved_is_reported_under_its_new_name(workspace: Workspace) -> None:
    (workspace.path / "a" / "b").mkdir(parents=True)
    async with Watch(workspace) as watching:
        (workspace.path / "a").rename(workspace.path / "c")
        await watching.until(("a", "deleted"), ("c", "created"), ("c/b", "created"))
        (workspace.path / "c" / "b" / "file").touch()
        await watching.until(("c/b/file", "created"))
    assert ("a/b/file", "created") not in watching.seen


async def test_a_directory_that_was_moved_away_is_not_watched_any_more(workspace: Workspace) -> None:
    (workspace.path / "top" / "a").mkdir(parents=True)
    async with Watch(workspace, "top") as watching:
        (workspace.path / "top" / "a").rename(workspace.path / "a")
        await watching.until(("top/a", "deleted"))
        (workspace.path / "a" / "file").touch()
        (workspace.path / "top" / "end").touch()
        await watching.until(("top/end", "created"))
    assert watching.seen == [("top/a", "deleted"), ("top/end", "created"), ("top/end", "modified")]


async def test_without_recursive_only_the_directory_itself_is_watched(workspace: Workspace) -> None:
    (workspace.path / "a").mkdir()
    async with Watch(workspace, recursive=False) as watching:
        (workspace.path / "a" / "file").touch()
        (workspace.path / "new").mkdir()
        (workspace.path / "new" / "file").touch()
        (workspace.path / "end").touch()
        await watching.until(("end", "created"))
    assert {path for path, _ in watching.seen} == {"new", "end"}


async def test_links_are_not_followed(workspace: Workspace, outside: Path, tmp_path: Path) -> None:
    (workspace.path / "out").symlink_to(tmp_path)
    async with Watch(workspace) as watching:
        (workspace.path / "other way out").symlink_to(tmp_path)
        (tmp_path / "new outside").touch()
        (workspace.path / "end").touch()
        await watching.until(("end", "created"))
    assert all("new outside" not in path for path, _ in watching.seen)


async def test_names_that_are_no_text_are_reported_as_text(workspace: Workspace) -> None:
    async with Watch(workspace) as watching:
        (workspace.path / os.fsdecode(b"not utf-8 \xff")).touch()
        (workspace.path / "line\nbreak").touch()
        await watching.until(("not utf-8 \ufffd", "created"), ("line\nbreak", "created"))


async def test_the_end_of_the_directory_ends_the_watch(workspace: Workspace) -> None:
    (workspace.path / "top" / "below").mkdir(parents=True)
    async with Watch(workspace, "top") as watching:
        (workspace.path / "top" / "below").rmdir()
        (workspace.path / "top").rmdir()
        with pytest.raises(SandboxFileNotFoundError, match="cannot watch 'top'"):
            async with asyncio.timeout(10):
                await watching.task


@pytest.mark.parametrize(
    ("path", "error"), [("nothing", SandboxFileNotFoundError), ("file", SandboxFileError), ("out", SandboxFileError)]
)
async def test_what_cannot_be_watched_is_an_error(
    workspace: Workspace, outside: Path, path: str, error: type[Exception]
) -> None:
    (workspace.path / "file").touch()
    (workspace.path / "out").symlink_to(outside)
    with pytest.raises(error, match=f"cannot watch '{path}'"):
        await watch(workspace, m.WatchFiles("s", path), lambda _: None)


async def test_a_watch_stays_in_the_workspace(workspace: Workspace) -> None:
    for path in ("..", "/etc"):
        with pytest.raises(UsageError, match="outside the workspace"):
            await watch(workspace, m.WatchFiles("s", path), lambda _: None)


@pytest.mark.parametrize(("number", "option"), [(28, "max_user_watches"), (24, "max_user_instances")])
async def test_a_limit_of_the_machine_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, number: int, option: str
) -> None:
    def refuse(flags: int) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(inotify, "_libc", SimpleNamespace(inotify_init1=refuse))
    with pytest.raises(SandboxFileError, match=f"raise fs.inotify.{option} with sysctl"):
        await watch(workspace, m.WatchFiles("s"), lambda _: None)


async def test_more_directories_than_can_be_watched_are_said_to_be_missing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inotify, "_MOST_DIRECTORIES", 5)
    for number in range(10):
        (workspace.path / str(number)).mkdir()
    async with Watch(workspace) as watching:
        await watching.until((".", "overflow"))


FLOOD = """
def step(n):
    name = f"{n % 5000}"
    with contextlib.suppress(OSError):
        if n % 3:
            open(name, "w").close()
        else:
            os.unlink(name)
"""


async def test_a_flood_of_changes_is_cut_and_said_to_be(workspace: Workspace, at_work: AtWork) -> None:
    loop = asyncio.get_running_loop()
    async with Watch(workspace) as watching:
        with at_work(workspace.path, FLOOD):
            begin, before = loop.time(), len(watching.seen)
            await asyncio.sleep(1)
            seconds, reported = loop.time() - begin, len(watching.seen) - before
        await watching.until((".", "overflow"))
        await watching.until_quiet(workspace)
    # A thousand a second, and one batch at each end.
    assert reported <= seconds * 1000 + 2 * 1001


async def test_of_what_nobody_takes_only_so_much_is_kept(workspace: Workspace, at_work: AtWork) -> None:
    taken, seen = asyncio.Event(), list[m.Event]()
    watching = asyncio.create_task(watch(workspace, m.WatchFiles("s"), seen.append, taken.wait))  # type: ignore[arg-type]
    async with asyncio.timeout(50):
        while not seen:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    with at_work(workspace.path, FLOOD):
        async with asyncio.timeout(50):
            while len(seen) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        kept = len(seen)
        await asyncio.sleep(1)
        assert len(seen) == kept, "nothing more until the first is taken"
        taken.set()
        async with asyncio.timeout(50):
            while len(seen) == kept:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    watching.cancel()
    await asyncio.wait([watching])


TREES = """
def step(n):
    top = f"{n % 50}"
    with contextlib.suppress(OSError):
        os.makedirs(f"{top}/a/b")
    with contextlib.suppress(OSError):
        os.rename(f"{top}/a", f"{(n + 1) % 50}/c")
    with contextlib.suppress(OSError):
        os.symlink("/", f"{top}/link")
    with contextlib.suppress(OSError):
        os.rename(f"{top}/link", f"{top}/a")
"""


async def test_trees_that_come_and_go_do_not_end_the_watch(workspace: Workspace, at_work: AtWork) -> None:
    async with Watch(workspace) as watching:
        with at_work(workspace.path, TREES):
            await asyncio.sleep(0.5)
        assert not watching.task.done()
        await watching.until_quiet(workspace)
    assert all(not path.startswith(("/", "..")) for path, _ in watching.seen)
