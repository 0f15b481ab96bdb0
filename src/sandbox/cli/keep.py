"""`--artifacts DIR`: copies what the code produced to where the user wants it. The names are the code's choice.

A name never leads out of the directory, through no link that lies in it either, and a file that is there already
stays, unless `replace` says otherwise: code that nobody has read must not choose which of the user's files to change.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

from sandbox.cli import terminal
from sandbox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.protocol.messages import ArtifactInfo

_CHUNK = 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Keeper:
    """Copies artifacts below `directory`, which is made and tried at once. Raises UsageError where it is of no use."""

    def __init__(self, directory: str, *, replace: bool) -> None:
        self._directory = directory
        self._replace = replace
        self._mine: set[str] = set()  # what was copied here is never replaced by a later artifact of the same name
        try:
            os.makedirs(directory, exist_ok=True)
            self._top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unusable(directory, error) from error
        try:
            self._try()
        except OSError as error:
            os.close(self._top)
            raise _unusable(directory, error) from error

    def _try(self) -> None:
        name = _part_name()
        os.close(os.open(name, _NEW, 0o644, dir_fd=self._top))
        os.unlink(name, dir_fd=self._top)

    def keep(self, artifacts: Iterable[ArtifactInfo], *, say: bool = True) -> dict[str, str]:
        """Copy the artifacts; return where each is now, by id. `say` prints the paths on stderr.

        What cannot be copied is said in any case, and the others are copied.
        """
        kept = {}
        for artifact in artifacts:
            try:
                name = self._copy(artifact)
            except OSError as error:
                terminal.note(f"{terminal.plain(artifact.name)} was not kept: {error.strerror}")
                continue
            kept[artifact.id] = os.path.join(self._directory, name)
            if say:
                terminal.note(f"artifact {kept[artifact.id]}{self._why(terminal.plain(artifact.name), name)}")
        return kept

    def _why(self, wanted: str, name: str) -> str:
        """Why an artifact did not get the name that it wanted."""
        if name == wanted or wanted in self._mine:
            return ""
        return f"  ({wanted} was there already; --replace would replace it)"

    def _copy(self, artifact: ArtifactInfo) -> str:
        """Copy one artifact below the directory; return its name there."""
        *above, last = terminal.plain(artifact.name).split("/")
        if any(part in {"", ".", ".."} for part in (*above, last)):
            raise OSError(errno.EINVAL, "its name leads elsewhere")
        parent = _enter(self._top, above)
        try:
            name = self._write(parent, "/".join((*above, "")), last, artifact.path)
        finally:
            os.close(parent)
        kept = "/".join((*above, name))
        self._mine.add(kept)
        return kept

    def _write(self, parent: int, above: str, wanted: str, source: str) -> str:
        """Write a file into `parent`; return the name that it got."""
        if not self._replace:
            name, fd = _free_name(parent, wanted)
            _fill(parent, name, fd, source)
            return name
        name, part = next(name for name in _names(wanted) if above + name not in self._mine), _part_name()
        _fill(parent, part, os.open(part, _NEW, 0o644, dir_fd=parent), source)
        try:
            os.replace(part, name, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError:
            os.unlink(part, dir_fd=parent)
            raise
        return name


def _unusable(directory: str, error: OSError) -> UsageError:
    return UsageError(f"--artifacts {directory}: nothing can be kept there: {error.strerror}")


def _part_name() -> str:
    return f".{secrets.token_hex(8)}.part"


def _enter(top: int, names: list[str]) -> int:
    """Open the directory at `names` below `top`, making what is missing. Raises OSError for a link."""
    fd = os.dup(top)
    for name in names:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=fd)
            below = os.open(name, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _free_name(parent: int, wanted: str) -> tuple[str, int]:
    """Make a file called `wanted`, or with a number where there is one already; return its name and descriptor."""
    for name in _names(wanted):
        try:
            return name, os.open(name, _NEW, 0o644, dir_fd=parent)
        except FileExistsError:
            continue
    raise OSError(errno.EEXIST, "there are too many files of its name already")


def _names(wanted: str) -> Iterator[str]:
    stem, extension = os.path.splitext(wanted)
    yield wanted
    for number in range(2, 10_000):
        yield f"{stem}-{number}{extension}"


def _fill(parent: int, name: str, target: int, source: str) -> None:
    """Copy into a file that is new; nothing is left of it if that fails."""
    try:
        with open(target, "wb") as out, open(source, "rb") as file:
            while data := file.read(_CHUNK):
                out.write(data)
    except OSError:
        os.unlink(name, dir_fd=parent)
        raise
