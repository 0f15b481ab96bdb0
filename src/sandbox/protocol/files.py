"""Files of a workspace."""

from __future__ import annotations

from msgspec import Struct

from sandbox.protocol.base import Event, LastEvent, Request

MAX_CHUNK = 1024 * 1024
"""The most bytes of a file in one request."""
PIECE = 256 * 1024
"""Bytes of a file in one event. Measured: it takes half the time that a megabyte does, of which each copy is in memory
that has to be touched first."""


class ReadFile(Request, frozen=True, tag="read_file"):
    """Read a file. Answered by `Data` events and `Done`. `length` None is to the end."""

    session: str
    path: str
    offset: int = 0
    length: int | None = None


class WriteFile(Request, frozen=True, tag="write_file"):
    """Write a file, or append to it; missing directories are made.

    `size`: of the whole, if more pieces follow.
    """

    session: str
    path: str
    data: bytes
    append: bool = False
    size: int = 0


class ListFiles(Request, frozen=True, tag="list_files"):
    """List a directory, everything below it if `recursive`. Answered by `FilesListed`."""

    session: str
    path: str = "."
    recursive: bool = False


class StatFile(Request, frozen=True, tag="stat_file"):
    """Describe one file. Answered by `FilesListed` with one entry."""

    session: str
    path: str


class RemoveFile(Request, frozen=True, tag="remove_file"):
    """Remove a file, or a directory with all below it if `recursive`."""

    session: str
    path: str
    recursive: bool = False


class RenameFile(Request, frozen=True, tag="rename_file"):
    """Rename a file or directory, replacing a file at the target."""

    session: str
    path: str
    target: str


class MakeDirectory(Request, frozen=True, tag="make_directory"):
    """Make a directory and those above it; not an error if it is there."""

    session: str
    path: str


class WatchFiles(Request, frozen=True, tag="watch_files"):
    """Report changes below a directory as `FilesChanged` events until the request is cancelled."""

    session: str
    path: str = "."
    recursive: bool = True


class FileChanges(Struct, frozen=True):
    """Paths relative to the workspace, sorted."""

    created: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


class Data(Event, frozen=True, tag="data"):
    """A piece of a file: `PIECE` bytes, but for the last."""

    data: bytes


class FileEntry(Struct, frozen=True):
    """One file. `kind` is file, directory, link or other; `path` is relative to the workspace."""

    path: str
    kind: str
    size: int
    mode: int
    modified_at: float
    target: str | None = None


class FilesListed(LastEvent, frozen=True, tag="files_listed"):
    """The entries of a directory, sorted by path."""

    entries: tuple[FileEntry, ...]


class FilesChanged(Event, frozen=True, tag="files_changed"):
    """Something below a watched directory changed. `kind` is created, modified, deleted or overflow."""

    path: str
    kind: str


class Watching(Event, frozen=True, tag="watching"):
    """The watch is in place: changes from now on are reported."""
