"""What a commit is about to store."""

from __future__ import annotations

from sandbox.store.extents import Extents


class StagedPart:
    """A part that no commit has named yet: its bytes, or extents whose `record` counts the staging's records."""

    __slots__ = ("data", "digest", "extents", "patches", "size")

    def __init__(self, size: int, address: bytes, data: bytes | None, extents: Extents, patches: bool = False) -> None:
        self.size, self.digest, self.data, self.extents, self.patches = size, address, data, extents, patches


class StagedFile:
    """An entry of the workspace, with its content if it is a file and changed, else the part that it had."""

    __slots__ = ("content", "kind", "mode", "mtime", "part", "size", "target")

    def __init__(
        self, kind: str, mode: int, mtime: int, *, size: int = 0, content: StagedPart | None = None, part: int = 0,
        target: bytes = b"",
    ) -> None:  # fmt: skip
        self.kind, self.mode, self.mtime, self.size = kind, mode, mtime, size
        self.content, self.part, self.target = content, part, target
