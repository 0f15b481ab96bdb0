"""Artifacts: copies of what executions produced, out of reach of the code that made them."""

from __future__ import annotations

import mimetypes
import os
import time
from collections.abc import Iterable
from pathlib import Path

from sandbox.beneath import open_regular, reason
from sandbox.engine.scan import printable
from sandbox.inside import tidy
from sandbox.protocol.messages import ArtifactInfo

DIRECTORY = "artifacts/"
_CHUNK = 1024 * 1024
_MOST_FILES = 1000
_EXTENSIONS = {
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/jpeg": "jpg",
    "text/html": "html",
    "application/pdf": "pdf",
}
_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_UNKNOWN = "application/octet-stream"


class ArtifactStore:
    """One session's artifacts: `<directory>/<execution>/<name>`. `most_bytes` is for all of them together."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self.directory = directory
        self.all: list[ArtifactInfo] = []
        self.complete = False  # whether those that only the store has were brought here
        self._most_bytes = most_bytes
        self._bytes = 0

    def add_figure(self, execution: int, mime: str, content: bytes) -> ArtifactInfo:
        """Keep a captured figure. How many there can be is limited where they come from. Raises NoRoom."""
        self._check_room(len(content))
        count = sum(
            1 for artifact in self.all if artifact.execution == execution and artifact.name.startswith("figure-")
        )
        path, name = self._place(execution, f"figure-{count + 1}.{_EXTENSIONS.get(mime, 'bin')}")
        path.write_bytes(content)
        import hashlib  # noqa: PLC0415 - 2 ms, for OpenSSL

        return self._add(execution, name, path, mime, len(content), hashlib.sha256(content).hexdigest())

    def collect(self, execution: int, workspace: int, paths: list[str]) -> tuple[list[ArtifactInfo], list[str]]:
        """Copy these files of the workspace; return the artifacts, and warnings that name what was left out.

        `workspace` is a descriptor; the paths are relative to it and hostile, and so are the files: each is opened
        beneath the workspace through no link, must be a regular one, and is copied as far as the limit has room.
        """
        found: list[ArtifactInfo] = []
        warnings: list[str] = []
        for path in paths[:_MOST_FILES]:
            try:
                found.append(self._copy(execution, workspace, path))
            except NoRoom as error:
                warnings.append(f"{printable(path)} was not collected: {error}")
            except OSError as error:
                warnings.append(f"{printable(path)} was not collected: {reason(error)}")
        if len(paths) > _MOST_FILES:
            warnings.append(
                f"{len(paths) - _MOST_FILES} files were not collected: at most {_MOST_FILES} in one execution"
            )
        return found, warnings

    def add_stored(self, artifacts: list[ArtifactInfo]) -> None:
        """Take in those that were brought from the store."""
        self.all = sorted([*artifacts, *self.all], key=lambda one: (one.execution, one.created_at))
        self._bytes += sum(one.size for one in artifacts)
        self.complete = True

    def named(self, ids: Iterable[str]) -> list[ArtifactInfo]:
        """Those that have one of these ids."""
        wanted = set(ids)
        return [one for one in self.all if one.id in wanted]

    def drop(self, artifacts: Iterable[ArtifactInfo]) -> None:
        """Remove some of them, and their copies."""
        for one in artifacts:
            Path(one.path).unlink(missing_ok=True)
            self.all.remove(one)
            self._bytes -= one.size

    def remove(self) -> None:
        """Remove every copy."""
        tidy.remove_tree(str(self.directory))

    def _copy(self, execution: int, workspace: int, path: str) -> ArtifactInfo:
        source = open_regular(workspace, path, os.O_RDONLY, links=False)
        try:
            status = os.fstat(source)
            self._check_room(status.st_size)
            target, name = self._place(execution, _inner(path.removeprefix(DIRECTORY)))
            size, digest = _copy_bytes(source, target, status)
        finally:
            os.close(source)
        return self._add(execution, name, target, _mime(name), size, digest)

    def _check_room(self, size: int) -> None:
        left = self._most_bytes - self._bytes
        if size > left:
            raise NoRoom(
                f"it has {size} bytes, and of the {self._most_bytes >> 20} MB of disk= for the artifacts of a session "
                f"{max(left, 0)} bytes are left"
            )

    def _place(self, execution: int, name: str) -> tuple[Path, str]:
        """Find a path for a copy, and the name that it gives: different files can have the same printable name."""
        stem, dot, extension = name.rpartition(".") if "." in os.path.basename(name) else (name, "", "")
        candidate, count = name, 1
        while os.path.lexists(self.directory / str(execution) / candidate):
            count += 1
            candidate = f"{stem}-{count}{dot}{extension}"
        path = self.directory / str(execution) / candidate
        path.parent.mkdir(parents=True, exist_ok=True)
        return path, candidate

    def _add(self, execution: int, name: str, path: Path, mime: str, size: int, sha256: str) -> ArtifactInfo:
        artifact = ArtifactInfo(
            id=f"{execution}/{name}", name=name, path=str(path), mime=mime, size=size, sha256=sha256,
            created_at=time.time(), execution=execution,
        )  # fmt: skip
        self._bytes += size
        self.all.append(artifact)
        return artifact


class NoRoom(Exception):
    """There is no room for a file; the message says how much there is."""


def _copy_bytes(source: int, target: Path, status: os.stat_result) -> tuple[int, str]:
    """Copy at most the size that was seen; holes of sparse files stay holes. Returns size and sha256."""
    import hashlib  # noqa: PLC0415

    digest = hashlib.sha256()
    size = 0
    sparse = status.st_blocks * 512 < status.st_size
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while size < status.st_size and (data := os.read(source, min(_CHUNK, status.st_size - size))):
            digest.update(data)
            if not (sparse and data.count(0) == len(data)):
                _write_at(out, data, size)
            size += len(data)
        os.ftruncate(out, size)
    except BaseException:
        os.unlink(target)
        raise
    finally:
        os.close(out)
    return size, digest.hexdigest()


def _write_at(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _inner(path: str) -> str:
    """The name as text, with no component that leads elsewhere (a scan yields none, but this is where it matters)."""
    return "/".join(part for part in printable(path).split("/") if part not in {"", ".", ".."})


def _mime(name: str) -> str:
    # Of the last part alone: the guess is made for URLs, and a hostile name can look like one.
    mime, packed = mimetypes.guess_type(f"x{''.join(Path(name).suffixes[-2:])}")
    return _PACKED.get(packed, _UNKNOWN) if packed else mime or _UNKNOWN
