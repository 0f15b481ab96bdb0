"""`sandbox.files`: the workspace from outside."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from sandbox.errors import SandboxFileNotFoundError
from sandbox.protocol import messages as m
from sandbox.results import FileInfo
from sandbox.sdk.connection import Connection


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
        """Yield a file's content in pieces, from byte `offset`, at most `length` bytes. Raises SandboxFileError."""
        request = m.ReadFile(self._connection.session, path, offset, length)
        async with aclosing(self._connection.stream(request)) as events:
            async for event in events:
                if isinstance(event, m.Data):
                    yield event.data

    async def write(self, path: str, data: bytes | str) -> None:
        """Write a file, making the directories above it. Raises SandboxFileError."""
        content = data.encode() if isinstance(data, str) else bytes(data)
        view = memoryview(content)
        await self._write(path, bytes(view[: m.MAX_CHUNK]), append=False)
        for start in range(m.MAX_CHUNK, len(view), m.MAX_CHUNK):
            await self._write(path, bytes(view[start : start + m.MAX_CHUNK]), append=True)

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
        except SandboxFileNotFoundError:
            return False
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

        It appears under its name only when it is whole. Raises OSError for the local file, SandboxFileError.
        """
        source = Path(local)
        target = path or source.name
        part = f"{target}.part"
        with source.open("rb") as file:  # noqa: ASYNC230 - short reads of a local file
            await self._write(part, file.read(m.MAX_CHUNK), append=False)
            while data := file.read(m.MAX_CHUNK):
                await self._write(part, data, append=True)
        await self.rename(part, target)
        return target

    async def download(self, path: str, local: str | os.PathLike[str] | None = None) -> Path:
        """Copy a file of the workspace to this machine, piece by piece; return where it is. Raises SandboxFileError."""
        target = Path(local) if local is not None else Path(os.path.basename(path))
        if target.is_dir():
            target = target / os.path.basename(path)
        part = target.with_name(f"{target.name}.part")
        with part.open("wb") as file:
            async for chunk in self.chunks(path):
                file.write(chunk)
        part.replace(target)
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
