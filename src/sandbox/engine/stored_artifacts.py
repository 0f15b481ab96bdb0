"""Artifacts on their way into the store, and back into a session's directory. Runs in the store's thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import StoreDamaged
from sandbox.protocol.messages import ArtifactInfo

if TYPE_CHECKING:
    from sandbox.store.history import ArtifactRecord
    from sandbox.store.parts import Parts
    from sandbox.store.staged import StagedPart
    from sandbox.store.staging import Staging
    from sandbox.store.store import Store

_CHUNK = 1024 * 1024


def stage(staging: Staging, artifacts: Iterable[ArtifactInfo]) -> list[tuple[ArtifactRecord, StagedPart]]:
    """Stage the content of artifacts, which lie in a directory of the engine's own. Raises StoreFull."""
    return [_staged(staging, one) for one in artifacts]


def _staged(staging: Staging, one: ArtifactInfo) -> tuple[ArtifactRecord, StagedPart]:
    from sandbox.store.files import content  # noqa: PLC0415
    from sandbox.store.history import ArtifactRecord  # noqa: PLC0415

    fd = os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        part = content(staging, fd, os.fstat(fd))
    finally:
        os.close(fd)
    record = ArtifactRecord(name=one.name, mime=one.mime, size=one.size, sha256=one.sha256, created=one.created_at)
    return record, part


def bring(store: Store, session: str, owner: str, directory: Path, there: set[str]) -> list[ArtifactInfo]:
    """Write the artifacts that are stored and not `there` below `directory`; return them. Raises StoreDamaged."""
    from sandbox.store.parts import Reader  # noqa: PLC0415

    info = store.session(session, owner=owner)
    rows = {f"{number}/{row.name}": (number, row) for number, row in store.artifacts(session, owner=owner)}
    missing = {name: row for name, row in rows.items() if name not in there}
    reader = Reader(store.database, store.packs / info.tree.name)
    with reader.open({name: row.part for name, (_, row) in missing.items()}) as parts:
        return [_brought(directory, name, number, row, parts) for name, (number, row) in missing.items()]


def _brought(directory: Path, name: str, number: int, row: ArtifactRecord, parts: Parts) -> ArtifactInfo:
    if {"", ".", ".."} & set(name.split("/")) or "\0" in name:
        raise StoreDamaged(f"an artifact of the store has the name {name[:200]!r}")
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
        file.writelines(_pieces(parts.read(name)))
    return ArtifactInfo(
        id=name, name=row.name, path=str(path), mime=row.mime, size=row.size, sha256=row.sha256,
        created_at=row.created, execution=number,
    )  # fmt: skip


def _pieces(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), _CHUNK):
        yield view[start : start + _CHUNK]
