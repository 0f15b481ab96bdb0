"""Files of a workspace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.protocol import messages as m


@dataclass(frozen=True)
class Files:
    """Files that an execution created, modified or deleted: paths relative to the workspace, sorted."""

    created: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    @classmethod
    def of(cls, info: m.FileChanges) -> Files:
        """Build one from the wire's form."""
        return cls(info.created, info.modified, info.deleted)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.created, *self.modified, *self.deleted))

    def __bool__(self) -> bool:
        return bool(self.created or self.modified or self.deleted)


@dataclass(frozen=True)
class FileInfo:
    """One file of a workspace. `kind` is file, directory, link or other; `path` is relative to the workspace."""

    path: str
    kind: str
    size: int
    mode: int
    modified_at: datetime
    target: str | None = None

    @classmethod
    def of(cls, entry: m.FileEntry) -> FileInfo:
        """Build one from the wire's form."""
        modified = datetime.fromtimestamp(entry.modified_at, UTC)
        return cls(entry.path, entry.kind, entry.size, entry.mode, modified, entry.target)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return os.path.basename(self.path)

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self.kind == "directory"
