"""`sandbox.files`: the workspace from outside."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from sandbox.errors import SandboxFileError, SandboxFileNotFoundError
from sandbox.protocol import messages as m
from sandbox.results import FileInfo
from sandbox.sdk.connection import Connection

# How much of a file is asked for at once: the engine does not wait for who reads, so this much may pile up.
_WINDOW = 8 * m.MAX_CHUNK


class Files:
    """Reads and writes the workspace. Paths are relative to it, or absolute as code inside sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, path: str) -> bytes:
        """Return a file's content. Raises SandboxFileError."""
        content = bytearray()
        async for chunk in self.chunks(path):
            content += chunk
        return bytes(content)

    async def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """Return a file's content as text. Raises SandboxFileError, UnicodeDecodeError."""
        return (await self.read(path)).decode(encoding)

    async def chunks(self, path: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Yield a file's content in pieces, from byte `offset`, at most `length` bytes. Raises SandboxFileError.

        It is read as it is asked for: a large file that is replaced meanwhile comes in parts of both.
        """
        left = length
        while True:
            wanted = _WINDOW if left is None else min(left, _WINDOW)
            request = m.ReadFile(self._connection.session, path, offset, wanted)
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

    async def write(self, path: str, data: bytes | bytearray | memoryview | str) -> None:
        """Write a file, making the directories above it. Raises SandboxFileError."""
        content = memoryview(data.encode() if isinstance(data, str) else data).cast("B")
        await self._write(path, bytes(content[: m.MAX_CHUNK]), append=False)
        for start in range(m.MAX_CHUNK, len(content), m.MAX_CHUNK):
            await self._write(path, bytes(content[start : start + m.MAX_CHUNK]), append=True)

    async def list(self, path: str = ".", *, recursive: bool = False) -> list[FileInfo]:
        """List a directory, sorted by path. Raises SandboxFileError."""
        answer = await self._connection.ask(m.ListFiles(self._connection.session, path, recursive), m.FilesListed)
        return [FileInfo.of(entry) for entry in answer.entries]

    async def stat(self, path: str) -> FileInfo:
        """Describe a file; of a link, the link itself. Raises SandboxFileError."""
        answer = await self._connection.ask(m.StatFile(self._connection.session, path), m.FilesListed)
        return FileInfo.of(answer.entries[0])

    async def exists(self, path: str) -> bool:
        """Tell whether there is a file, directory or link at `path`."""
        try:
            await self.stat(path)
        except SandboxFileError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR}:
                return False
            raise
        return True

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file or an empty directory, or a whole one if `recursive`. Raises SandboxFileError."""
        await self._connection.ask(m.RemoveFile(self._connection.session, path, recursive), m.Done)

    async def rename(self, path: str, target: str) -> None:
        """Rename a file or directory, replacing a file at `target`. Raises SandboxFileError."""
        await self._connection.ask(m.RenameFile(self._connection.session, path, target), m.Done)

    async def make_dir(self, path: str) -> None:
        """Make a directory and those above it; it may be there already. Raises SandboxFileError."""
        await self._connection.ask(m.MakeDirectory(self._connection.session, path), m.Done)

    async def upload(self, local: str | os.PathLike[str], path: str | None = None) -> str:
        """Copy a file of this machine into the workspace, piece by piece; return its path there.

        Where `path` is a directory, or ends in a slash, the file keeps its name in it. It appears under its name only
        when it is whole. Raises OSError for the local file, SandboxFileError.
        """
        source = Path(local)
        target = await self._place(path, source.name)
        part = os.path.join(os.path.dirname(target), _part_name())
        try:
            with source.open("rb") as file:  # noqa: ASYNC230 - short reads of a local file
                size = await self._copy_in(file, part)
            await self._check_whole(part, size, target)
            await self.rename(part, target)
        except BaseException:
            # Without waiting: this may be a cancellation.
            self._connection.transport.post(m.encode(m.RemoveFile(self._connection.session, part)))
            raise
        return target

    async def download(self, path: str, local: str | os.PathLike[str] | None = None) -> Path:
        """Copy a file of the workspace to this machine, piece by piece; return where it is.

        Where `local` is a directory, the file keeps its name in it. It appears under its name only when it is whole.
        Raises OSError for the local file, SandboxFileError.
        """
        name = _name_of(path)
        target = Path(local) if local is not None else Path(name)
        if target.is_dir():
            target = target / name
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

    async def watch(self, path: str = ".", *, recursive: bool = True) -> AsyncGenerator[m.FilesChanged]:
        """Yield changes below a directory as they happen, until the iteration is ended. Raises SandboxFileError."""
        request = m.WatchFiles(self._connection.session, path, recursive)
        async with aclosing(self._connection.stream(request)) as events:
            async for event in events:
                if isinstance(event, m.FilesChanged):
                    yield event

    async def _write(self, path: str, data: bytes, *, append: bool) -> None:
        await self._connection.ask(m.WriteFile(self._connection.session, path, data, append), m.Done)

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
        while (data := file.read(m.MAX_CHUNK)) or not append:
            await self._write(part, data, append=append)
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


def _name_of(path: str) -> str:
    return os.path.basename(os.path.normpath(path))


def _part_name() -> str:
    """A name that no other upload or download uses, as short as any file name can be."""
    return f".part-{os.urandom(6).hex()}"
