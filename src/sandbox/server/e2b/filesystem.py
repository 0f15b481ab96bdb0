"""The workspace, as calls: what there is, moving and removing it, watching it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

from msgspec import Struct

from sandbox.errors import SandboxError, SandboxFileExistsError, SandboxFileNotFoundError, UsageError
from sandbox.protocol import messages as m
from sandbox.server.e2b import connect, paths
from sandbox.server.e2b.visit import Visit
from sandbox.server.e2b.watchers import TooMuchChanged, Watchers, in_the_making
from sandbox.server.http import failure

_TYPES = {"file": "FILE_TYPE_FILE", "directory": "FILE_TYPE_DIRECTORY", "link": "FILE_TYPE_SYMLINK"}
_EVENTS = {"created": "EVENT_TYPE_CREATE", "modified": "EVENT_TYPE_WRITE", "deleted": "EVENT_TYPE_REMOVE"}
_MOST_DEPTH = 1000


class _Path(Struct):
    path: str
    depth: int = 1
    recursive: bool = False


class _Move(Struct):
    source: str
    destination: str


class _Watcher(Struct):
    watcherId: str  # noqa: N815 - its name in the JSON


class Filesystem:
    """The calls, and the watchers that clients have left behind to ask later."""

    def __init__(self) -> None:
        self._watchers = Watchers()

    async def close(self) -> None:
        """The server ends."""
        await self._watchers.close()

    async def stat(self, visit: Visit) -> None:
        """Describe one file."""
        said = await connect.said(visit.call, _Path)
        await visit.call.json({"entry": shown(await _described(visit, said.path))})

    async def list_dir(self, visit: Visit) -> None:
        """List a directory, and those below it down to a depth."""
        said = await connect.said(visit.call, _Path)
        depth = min(said.depth or 1, _MOST_DEPTH)
        top = await _described(visit, said.path)
        request = m.ListFiles(visit.id, top.path, recursive=depth > 1)
        listed = await visit.ask(request, m.FilesListed)
        near = [one for one in listed.entries if _depth(one.path, top.path) <= depth and one.kind in _TYPES]
        await visit.call.json({"entries": [shown(one) for one in near]})

    async def make_dir(self, visit: Visit) -> None:
        """Make a directory and those above it. One that is there is an error here."""
        said = await connect.said(visit.call, _Path)
        try:
            entry = await _described(visit, said.path)
        except SandboxFileNotFoundError:
            await visit.ask(m.MakeDirectory(visit.id, paths.inward(said.path)), m.Done)
            await visit.call.json({"entry": shown(await _described(visit, said.path))})
            return
        if entry.kind != "directory":
            raise UsageError(f"{said.path!r} is there already, and no directory")
        raise SandboxFileExistsError(f"the directory {said.path!r} is there already")

    async def move(self, visit: Visit) -> None:
        """Rename."""
        said = await connect.said(visit.call, _Move)
        await visit.ask(m.RenameFile(visit.id, paths.inward(said.source), paths.inward(said.destination)), m.Done)
        await visit.call.json({"entry": shown(await _described(visit, said.destination))})

    async def remove(self, visit: Visit) -> None:
        """Remove a file, or a directory with all below it. What is not there is no error here."""
        said = await connect.said(visit.call, _Path)
        with contextlib.suppress(SandboxFileNotFoundError):
            await visit.ask(m.RemoveFile(visit.id, paths.inward(said.path), recursive=True), m.Done)
        await visit.call.json({})

    async def watch_dir(self, visit: Visit) -> None:
        """Changes as they happen, until the client goes or its time is over."""
        said = await connect.said(visit.call, _Path)
        path = (await _directory(visit, said.path)).path
        recording = visit.begin(m.WatchFiles(visit.id, path, said.recursive))
        errors: list[SandboxError] = []

        def messages(event: m.AnyEvent) -> Iterator[object]:
            if isinstance(event, m.Watching):
                yield {"start": {}}
            elif isinstance(event, m.FilesChanged) and event.kind == "overflow":
                errors.append(TooMuchChanged())
                recording.cancel()
            elif isinstance(event, m.FilesChanged) and not in_the_making(event):
                yield {"filesystem": _changed(event, path)}

        def fault(last: m.AnyEvent) -> SandboxError | None:
            return errors[0] if errors else failure(last)

        saying = connect.Saying(messages, {"keepalive": {}}, fault)
        await connect.stream(visit.call, recording, 0, saying, cancels=True)

    async def create_watcher(self, visit: Visit) -> None:
        """Begin to watch, for somebody who asks now and then."""
        said = await connect.said(visit.call, _Path)
        path = (await _directory(visit, said.path)).path
        name = await self._watchers.begin(visit, m.WatchFiles(visit.id, path, said.recursive))
        await visit.call.json({"watcherId": name})

    async def get_watcher_events(self, visit: Visit) -> None:
        """What has changed since somebody asked last."""
        said = await connect.said(visit.call, _Watcher)
        watcher = self._watchers.get(visit, said.watcherId)
        await visit.call.json({"events": [_changed(one, watcher.path) for one in watcher.take()]})

    async def remove_watcher(self, visit: Visit) -> None:
        """Watch no more."""
        said = await connect.said(visit.call, _Watcher)
        await self._watchers.remove(visit, said.watcherId)
        await visit.call.json({})

    def calls(self) -> dict[str, Callable[[Visit], Awaitable[None]]]:
        """By the names that clients know."""
        return {
            "Stat": self.stat, "ListDir": self.list_dir, "MakeDir": self.make_dir, "Move": self.move,
            "Remove": self.remove, "WatchDir": self.watch_dir, "CreateWatcher": self.create_watcher,
            "GetWatcherEvents": self.get_watcher_events, "RemoveWatcher": self.remove_watcher,
        }  # fmt: skip


async def _described(visit: Visit, path: str) -> m.FileEntry:
    listed = await visit.ask(m.StatFile(visit.id, paths.inward(path)), m.FilesListed)
    return listed.entries[0]


async def _directory(visit: Visit, path: str) -> m.FileEntry:
    entry = await _described(visit, path)
    if entry.kind != "directory":
        raise UsageError(f"{path!r} is not a directory")
    return entry


def _depth(path: str, top: str) -> int:
    return os.path.relpath(path, top).count("/") + 1


def shown(entry: m.FileEntry) -> dict[str, object]:
    """A file as clients know it."""
    path = paths.outward(entry.path)
    kinds = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK}
    target = {} if entry.target is None else {"symlinkTarget": entry.target, "isSymlink": True}
    return {
        "name": path.rpartition("/")[2], "type": _TYPES.get(entry.kind, "FILE_TYPE_UNSPECIFIED"), "path": path,
        "size": str(entry.size), "mode": entry.mode,
        "permissions": stat.filemode(kinds.get(entry.kind, 0) | entry.mode), "owner": paths.USER, "group": paths.USER,
        "modifiedTime": datetime.fromtimestamp(entry.modified_at, UTC).isoformat().replace("+00:00", "Z"), **target,
    }  # fmt: skip


def _changed(event: m.FilesChanged, top: str) -> dict[str, object]:
    return {"name": os.path.relpath(event.path, top), "type": _EVENTS[event.kind]}
