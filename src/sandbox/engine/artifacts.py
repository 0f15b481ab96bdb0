"""Artifacts: copies of what executions produced, out of reach of the code that made them."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import stat
import time
from pathlib import Path

from sandbox.engine.beneath import open_regular
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


class ArtifactStore:
    """One session's artifacts: `<directory>/<execution>/<name>`."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self.directory = directory
        self.all: list[ArtifactInfo] = []
        self._most_bytes = most_bytes

    def add_figure(self, execution: int, mime: str, content: bytes) -> ArtifactInfo:
        """Keep a captured figure."""
        count = sum(
            1 for artifact in self.all if artifact.execution == execution and artifact.name.startswith("figure-")
        )
        name = f"figure-{count + 1}.{_EXTENSIONS.get(mime, 'bin')}"
        path = self._place(execution, name)
        path.write_bytes(content)
        return self._add(execution, name, path, mime, len(content), hashlib.sha256(content).hexdigest())

    def collect(self, execution: int, workspace: int, paths: list[str]) -> tuple[list[ArtifactInfo], list[str]]:
        """Copy these files of the workspace; return the artifacts, and warnings that name what was left out.

        `workspace` is a descriptor; the paths are relative to it and hostile, and so are the files: each is opened
        beneath the workspace, must be a regular one, and all together are copied up to the session's disk limit.
        """
        found: list[ArtifactInfo] = []
        warnings: list[str] = []
        left = self._most_bytes
        for path in paths[:_MOST_FILES]:
            try:
                artifact, size = self._copy(execution, workspace, path, left)
            except OSError as error:
                warnings.append(f"{path} was not collected: {os.strerror(error.errno or 0).lower()}")
                continue
            if artifact is None:
                warnings.append(
                    f"{path} was not collected: {size} bytes are more than the {left} that are left of the limit"
                )
                continue
            left -= size
            found.append(artifact)
        if len(paths) > _MOST_FILES:
            warnings.append(
                f"{len(paths) - _MOST_FILES} files were not collected: at most {_MOST_FILES} in one execution"
            )
        return found, warnings

    def remove(self) -> None:
        """Remove every copy."""
        tidy.remove_tree(str(self.directory))

    def _copy(self, execution: int, workspace: int, path: str, most: int) -> tuple[ArtifactInfo | None, int]:
        source = open_regular(workspace, path, os.O_RDONLY)
        try:
            status = os.fstat(source)
            if status.st_size > most:
                return None, status.st_size
            name = _printable(path.removeprefix(DIRECTORY))
            target = self._place(execution, name)
            size, digest = _copy_bytes(source, target, status)
        finally:
            os.close(source)
        mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return self._add(execution, name, target, mime, size, digest), size

    def _place(self, execution: int, name: str) -> Path:
        path = self.directory / str(execution) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _add(self, execution: int, name: str, path: Path, mime: str, size: int, sha256: str) -> ArtifactInfo:
        artifact = ArtifactInfo(
            id=f"{execution}/{name}", name=name, path=str(path), mime=mime, size=size, sha256=sha256,
            created_at=time.time(), execution=execution,
        )  # fmt: skip
        self.all.append(artifact)
        return artifact


def _copy_bytes(source: int, target: Path, status: os.stat_result) -> tuple[int, str]:
    """Copy at most the size that was seen; holes of sparse files stay holes. Returns size and sha256."""
    digest = hashlib.sha256()
    size = 0
    sparse = stat.S_ISREG(status.st_mode) and status.st_blocks * 512 < status.st_size
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while size < status.st_size and (data := os.read(source, min(_CHUNK, status.st_size - size))):
            digest.update(data)
            if not (sparse and data.count(0) == len(data)):
                os.pwrite(out, data, size)
            size += len(data)
        os.ftruncate(out, size)
    finally:
        os.close(out)
    return size, digest.hexdigest()


def _printable(path: str) -> str:
    """The name as text, with no component that leads elsewhere (a scan yields none, but this is where it matters)."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "/".join(part for part in text.split("/") if part not in {"", ".", ".."})
