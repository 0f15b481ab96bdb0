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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.protocol.messages import ArtifactInfo

_CHUNK = 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def keep(artifacts: Iterable[ArtifactInfo], directory: str, *, replace: bool, say: bool = True) -> dict[str, str]:
    """Copy the artifacts; return where each is now, by id. `say` prints the paths on stderr. Raises OSError."""
    os.makedirs(directory, exist_ok=True)
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    kept = {}
    try:
        for artifact in artifacts:
            try:
                name = _copy(top, artifact, replace=replace)
            except OSError as error:
                terminal.note(f"{terminal.plain(artifact.name)} was not kept: {error.strerror}")
                continue
            kept[artifact.id] = os.path.join(directory, name)
            if say:
                wanted = terminal.plain(artifact.name)
                there = "" if name == wanted else f"  ({wanted} was there already; --replace would replace it)"
                terminal.note(f"artifact {kept[artifact.id]}{there}")
    finally:
        os.close(top)
    return kept


def _copy(top: int, artifact: ArtifactInfo, *, replace: bool) -> str:
    """Copy one artifact below the directory behind `top`; return its name there."""
    *above, last = terminal.plain(artifact.name).split("/")
    if any(part in {"", ".", ".."} for part in (*above, last)):
        raise OSError(errno.EINVAL, "its name leads elsewhere")
    parent = _enter(top, above)
    try:
        name, fd = _free_name(parent, f".{secrets.token_hex(8)}.part" if replace else last)
        try:
            _fill(fd, artifact.path)
            if replace:
                os.replace(name, last, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError:
            os.unlink(name, dir_fd=parent)
            raise
    finally:
        os.close(parent)
    return "/".join((*above, last if replace else name))


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


def _fill(target: int, source: str) -> None:
    with open(target, "wb") as out, open(source, "rb") as file:
        while data := file.read(_CHUNK):
            out.write(data)
