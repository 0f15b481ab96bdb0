"""`sandbox.files`: the workspace from outside."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from sandbox.errors import SandboxError, SandboxFileError, SandboxFileNotFoundError, UsageError
from sandbox.protocol import messages as m
from sandbox.results import FileInfo
from sandbox.sdk import checks
from sandbox.sdk.connection import Connection

Inside = str | os.PathLike[str]
"""A path inside the sandbox."""

# How much of a file is asked for at once: the engine does not wait for who reads, so this much may pile up.
_WINDOW = 8 * m.MAX_CHUNK


class Files:
    """Reads and writes the workspace. Paths are relative to it, or absolute below where code inside sees it.

    Such a path may be a pathlib.Path. Other files that code inside sees, such as mounts, are not reached from here.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, path: Inside) -> bytes:
        """Return a file's content. Raises SandboxFileError."""
        content = bytearray()
        async for chunk in self.chunks(path):
            content += chunk
        return bytes(content)

    async def read_text(self, path: Inside, encoding: str = "utf-8") -> str:
        """Return a file's content as text. Raises SandboxFileError, UnicodeDecodeError."""
        return (await self.read(path)).decode(encoding)

    async def chunks(self, path: Inside, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Yield a file's content in pieces, from byte `offset`, at most `length` bytes. Raises SandboxFileError.

        It is read as it is asked for: a large file that is replaced meanwhile comes in parts of both.
        """
        name, offset = checks.inside("path", path), checks.whole("offset", offset)
        left = None if length is None else checks.whole("length", length)
        while True:
            wanted = _WINDOW if left is None else min(left, _WINDOW)
            request = m.ReadFile(self._connection.session, name, offset, wanted)
            got = 0
            async with aclosing(self._connection.stream(request)) as events:
                async for event in events:
                    if isinstance(event, m.Data):
                        got += len(event.data)
                        yield event.data
            offset += got
            left = None if left is None else left - got
            if got < wanted or left == 0:
                return

    async def write(self, path: Inside, data: bytes | bytearray | memoryview | str) -> None:
        """Write a file, making the directories above it. Raises SandboxFileError."""
        target, content = _file("path", path), checks.content("data", data)
        size = len(content)
        await self._write(target, bytes(content[: m.MAX_CHUNK]), append=False, size=size)
        try:
            for start in range(m.MAX_CHUNK, size, m.MAX_CHUNK):
                await self._write(target, bytes(content[start : start + m.MAX_CHUNK]), append=True, size=size)
        except SandboxError:
            await self.remove(target)  # a part of a file would pass for the whole
            raise
        except BaseException:
            # Cancelled: without waiting.
            self._connection.transport.post(m.encode(m.RemoveFile(self._connection.session, target)))
            raise

    async def list(self, path: Inside = ".", *, recursive: bool = False) -> list[FileInfo]:
        """List a directory, sorted by path. Raises SandboxFileError."""
        request = m.ListFiles(self._connection.session, checks.inside("path", path), bool(recursive))
        answer = await self._connection.ask(request, m.FilesListed)
        return [FileInfo.of(entry) for entry in answer.entries]

    async def stat(self, path: Inside) -> FileInfo:
        """Describe a file; of a link, the link itself. Raises SandboxFileError."""
        request = m.StatFile(self._connection.session, checks.inside("path", path))
        answer = await self._connection.ask(request, m.FilesListed)
        return FileInfo.of(answer.entries[0])

    async def exists(self, path: Inside) -> bool:
        """Tell whether there is a file, directory or link at `path`."""
        try:
            await self.stat(path)
        except SandboxFileError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR}:
                return False
            raise
        return True

    async def remove(self, path: Inside, *, recursive: bool = False) -> None:
        """Remove a file or an empty directory, or a whole one if `recursive`. Raises SandboxFileError."""
        request = m.RemoveFile(self._connection.session, checks.inside("path", path), bool(recursive))
        await self._connection.ask(request, m.Done)

    async def rename(self, path: Inside, target: Inside) -> None:
        """Rename a file or directory, replacing a file at `target`. Raises SandboxFileError."""
        old, new = checks.inside("path", path), checks.inside("target", target)
        await self._connection.ask(m.RenameFile(self._connection.session, old, new), m.Done)

    async def make_dir(self, path: Inside) -> None:
        """Make a directory and those above it; it may be there already. Raises SandboxFileError."""
        request = m.MakeDirectory(self._connection.session, checks.inside("path", path))
        await self._connection.ask(request, m.Done)

    async def upload(self, local: str | os.PathLike[str], path: Inside | None = None) -> str:
        """Copy a file of this machine into the workspace, piece by piece; return its path there.

        Where `path` is a directory, or ends in a slash, the file keeps its name in it. It appears under its name only
        when it is whole. Raises OSError for the local file, SandboxFileError.
        """
        source = Path(local)
        if source.is_dir():  # noqa: ASYNC240 - a look at a local file
            raise IsADirectoryError(errno.EISDIR, "upload copies one file, and this is a directory", str(source))
        target = await self._place(None if path is None else checks.inside("path", path), source.name)
        part = os.path.join(os.path.dirname(target), _part_name())
        undo = m.encode(m.RemoveFile(self._connection.session, part))
        try:
            with source.open("rb") as file:  # noqa: ASYNC230 - short reads of a local file
                size = await self._copy_in(file, part)
            await self._check_whole(part, size, target)
            await self.rename(part, target)
        except BaseException:
            # Without waiting: this may be a cancellation.
            self._connection.transport.post(undo)
            raise
        return target

    async def download(
        self, path: Inside, local: str | os.PathLike[str] | None = None, *, replace: bool = True
    ) -> Path:
        """Copy a file of the workspace to this machine, piece by piece; return where it is.

        Where `local` is a directory, the file keeps its name in it. It appears under its name only when it is whole.
        A local file of that name is replaced; with `replace=False` it stays, and FileExistsError is raised.
        Raises OSError for the local file, SandboxFileError.
        """
        name = _name_of(checks.inside("path", path))
        target = _local_target(name, local, replace=replace)
        part = target.with_name(_part_name())
        try:
            with part.open("xb") as file:
                async for chunk in self.chunks(path):
                    file.write(chunk)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return target

    async def watch(self, path: Inside = ".", *, recursive: bool = True) -> AsyncGenerator[m.FilesChanged]:
        """Yield changes below a directory as they happen, until the iteration is ended. Raises SandboxFileError."""
        request = m.WatchFiles(self._connection.session, checks.inside("path", path), bool(recursive))
        async with aclosing(self._connection.stream(request)) as events:
            async for event in events:
                if isinstance(event, m.FilesChanged):
                    yield event

    async def _write(self, path: str, data: bytes, *, append: bool, size: int) -> None:
        await self._connection.ask(m.WriteFile(self._connection.session, path, data, append, size), m.Done)

    async def _place(self, path: str | None, name: str) -> str:
        if path is None:
            return name
        try:
            directory = path.endswith("/") or (await self.stat(path)).is_dir
        except SandboxFileNotFoundError:
            directory = False
        return os.path.join(path, name) if directory else path

    async def _copy_in(self, file: BinaryIO, part: str) -> int:
        size, append = 0, False
        whole = os.fstat(file.fileno()).st_size
        while (data := file.read(m.MAX_CHUNK)) or not append:
            await self._write(part, data, append=append, size=whole)
            size, append = size + len(data), True
        return size

    async def _check_whole(self, part: str, size: int, target: str) -> None:
        """The code inside can reach the part: what it removed would begin anew with the next piece."""
        found = await self.stat(part)
        if (found.kind, found.size) != ("file", size):
            raise SandboxFileError(
                f"cannot upload {target!r}: something inside has changed it meanwhile, "
                f"{found.size} of {size} bytes are there",
                {"path": target},
            )


def _file(name: str, path: object) -> str:
    """A path that can be a file's."""
    found = checks.inside(name, path)
    if found.endswith("/"):
        raise UsageError(f"{name}={found!r} names a directory: leave off the slash, or use make_dir")
    return found


def _local_target(name: str, local: str | os.PathLike[str] | None, *, replace: bool) -> Path:
    """Where a download goes. Raises OSError."""
    target = Path(name if local is None else local)
    if target.is_dir():
        target = target / name
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no directory to download to", str(target.parent))
    if not replace and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "there is such a file already", str(target))
    return target


def _name_of(path: str) -> str:
    return os.path.basename(os.path.normpath(path))


def _part_name() -> str:
    """A name that no other upload or download uses, as short as any file name can be."""
    return f".part-{os.urandom(6).hex()}"
