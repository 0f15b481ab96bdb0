"""A checkpoint's files on their way back: the directory becomes equal to it, and only what differs is touched.

Nothing is written into a file that is there: a new one is made beside it and takes its name, so that neither a
link nor another name of the same file leads anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Mapping

from sandbox.beneath import Owner, open_directory, open_regular, openat2
from sandbox.errors import StoreDamaged, StoreError
from sandbox.inside import tidy
from sandbox.store.files import Marks, content_digest
from sandbox.store.manifest import Entry, FileEntry
from sandbox.store.packs import read_range
from sandbox.store.parts import Parts
from sandbox.store.records import FILES
from sandbox.store.sealed import digest
from sandbox.store.staging import LARGE
from sandbox.store.workspace import DIRECTORY, FILE, LINK, MODES, Mark, path_of, survey

_OPEN = 0o700
_STEP = 8 * 1024 * 1024
_KINDS = {FILE, DIRECTORY, LINK}
Wanted = dict[str, FileEntry]


def wanted_files(manifest: Mapping[str, Entry]) -> Wanted:
    """The entries of a manifest that are files, by path. Raises StoreDamaged for what cannot be."""
    wanted = {path_of(key): entry for key, entry in manifest.items() if isinstance(entry, FileEntry)}
    for path, entry in wanted.items():
        above = os.path.dirname(path)
        if entry.kind not in _KINDS or (above and (above not in wanted or wanted[above].kind != DIRECTORY)):
            raise StoreDamaged(f"the checkpoint has no directory above {path!r}", {"key": FILES + path})
    return wanted


class Restoration:
    """Makes a directory equal to a checkpoint. No worker may be at work in it, though nothing breaks if one is.

    `known` and `marks` say what was captured or restored there before, and so need not be read.
    """

    def __init__(
        self, directory: int, owner: Owner, parts: Parts, digest_of: Callable[[int], bytes],
        known: Mapping[str, FileEntry], marks: Marks,
    ) -> None:  # fmt: skip
        self._directory, self._owner, self._parts, self._digest_of = directory, owner, parts, digest_of
        self._known, self._marks = known, marks
        self.touched: list[str] = []

    def make(self, keys: Mapping[str, str], wanted: Wanted) -> Marks:
        """Make it so; return the marks of what is there then. `keys` has the key of each path. Raises StoreError."""
        try:
            there = self._without_others(wanted)
            for path in sorted(wanted):
                self._entry(keys[path], path, wanted[path], there.get(path))
            for path in sorted(wanted, reverse=True):
                if wanted[path].kind == DIRECTORY:
                    self._close(path, wanted[path].mode)
        except OSError as error:
            where = f"cannot restore {error.filename!r}" if error.filename else "cannot restore the workspace"
            raise StoreError(f"{where}: {os.strerror(error.errno or 0)}", {"errno": error.errno}) from error
        return {path: mark for path, mark in survey(self._directory).entries.items() if path in wanted}

    def _without_others(self, wanted: Wanted) -> dict[str, Mark]:
        """Remove what the checkpoint does not have, or has as something else; return what is left."""
        now = survey(self._directory, everything=True)
        if not now.complete:
            # There is more than can be looked at, or some of it is closed: begin anew.
            self._remove_all()
            return {}
        left = {}
        gone = "\0"
        for path in sorted({*now.entries, *now.others}, key=lambda path: path.split("/")):
            mark = now.entries.get(path)
            if path.startswith(f"{gone}/"):
                continue
            if mark is not None and path in wanted and wanted[path].kind == mark.kind:
                left[path] = mark
            else:
                gone = path
                self._remove(path)
        return left

    def _remove_all(self) -> None:
        fd = open_directory(self._directory, "")
        try:
            for name in os.listdir(fd):
                tidy.remove_entry(fd, name)
                self.touched.append(name)
        finally:
            os.close(fd)

    def _remove(self, path: str) -> None:
        parent, name = self._parent(path)
        try:
            tidy.remove_entry(parent, name)
        finally:
            os.close(parent)
        self.touched.append(path)

    def _entry(self, key: str, path: str, entry: FileEntry, mark: Mark | None) -> None:
        if entry.kind == DIRECTORY:
            self._enter(path, mark)
        elif mark is None or not self._same(path, entry, mark):
            self.touched.append(path)
            parent, name = self._parent(path)
            try:
                self._replace(parent, name, key, entry)
            finally:
                os.close(parent)

    # --- directories --------------------------------------------------------------------------------------------

    def _enter(self, path: str, mark: Mark | None) -> None:
        """Make a directory, or make sure that its entries can be changed."""
        if mark is None:
            self.touched.append(path)
            parent, name = self._parent(path)
            try:
                os.mkdir(name, _OPEN, dir_fd=parent)
                if self._owner:
                    fd = open_directory(parent, name)
                    try:
                        os.fchown(fd, *self._owner)
                    finally:
                        os.close(fd)
            finally:
                os.close(parent)
        elif mark.mode & _OPEN != _OPEN:
            self._mode(path, mark.mode | _OPEN)

    def _close(self, path: str, mode: int) -> None:
        fd = openat2(self._directory, path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, links=False)
        try:
            if os.fstat(fd).st_mode & MODES != mode & MODES:
                os.chmod(f"/proc/self/fd/{fd}", mode & MODES)
        finally:
            os.close(fd)

    def _mode(self, path: str, mode: int) -> None:
        self._close(path, mode)

    # --- files and links ----------------------------------------------------------------------------------------

    def _same(self, path: str, entry: FileEntry, mark: Mark) -> bool:
        """Whether what is there is what is wanted; the content is read if nothing else tells."""
        if mark.mtime != entry.mtime or mark.kind != entry.kind:
            return False
        if mark.kind == LINK:
            return self._link_is(path, entry.target)
        if mark.mode != entry.mode or mark.size != entry.size:
            return False
        known = self._known.get(path)
        if known is not None and self._marks.get(path) == mark:
            return known.part == entry.part or self._digest_of(known.part) == self._digest_of(entry.part)
        return self._content_is(path, entry)

    def _link_is(self, path: str, target: bytes) -> bool:
        parent, name = self._parent(path)
        try:
            return os.readlink(os.fsencode(name), dir_fd=parent) == target
        finally:
            os.close(parent)

    def _content_is(self, path: str, entry: FileEntry) -> bool:
        fd = open_regular(self._directory, path, os.O_RDONLY, links=False)
        try:
            if entry.size < LARGE:
                found = digest(b"".join(bytes(piece) for piece in read_range(fd, 0, entry.size)))
            else:
                found = content_digest(fd, entry.size)
        finally:
            os.close(fd)
        return found == self._digest_of(entry.part)

    def _replace(self, parent: int, name: str, key: str, entry: FileEntry) -> None:
        """Make it under another name, then let it take its place."""
        fresh = f".sandbox-{secrets.token_hex(8)}"
        try:
            if entry.kind == LINK:
                self._link(parent, fresh, entry)
            else:
                self._file(parent, fresh, key, entry)
            os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=parent)
            raise

    def _link(self, parent: int, name: str, entry: FileEntry) -> None:
        os.symlink(entry.target, os.fsencode(name), dir_fd=parent)
        if self._owner:
            os.chown(name, *self._owner, dir_fd=parent, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)

    def _file(self, parent: int, name: str, key: str, entry: FileEntry) -> None:
        fd = openat2(parent, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, links=False)
        try:
            self._fill(fd, key, entry)
            if self._owner:
                os.fchown(fd, *self._owner)
            os.fchmod(fd, entry.mode & MODES)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _fill(self, fd: int, key: str, entry: FileEntry) -> None:
        if key in self._parts.small:
            view = memoryview(self._parts.small[key])
            while view:
                view = view[os.write(fd, view) :]
            return
        large = self._parts.large[key]
        os.ftruncate(fd, large.size)
        for at, index, offset, size in large.extents:
            _copy(self._parts.fds[index], offset, fd, at, size)

    def _parent(self, path: str) -> tuple[int, str]:
        above, name = os.path.split(path)
        return open_directory(self._directory, above), name


def _copy(source: int, offset: int, target: int, at: int, size: int) -> None:
    """Copy in the file system; where it has reflinks, nothing is copied at all."""
    done = 0
    while done < size:
        step = min(size - done, _STEP)
        try:
            count = os.copy_file_range(source, target, step, offset + done, at + done)
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
                raise
            count = os.pwrite(target, os.pread(source, min(step, 1 << 20), offset + done), at + done)
        if count == 0:
            raise StoreDamaged("a pack ended while it was read")
        done += count
