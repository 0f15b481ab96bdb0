"""One transaction that makes a checkpoint of what was staged."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sandbox.errors import ProtocolError, StoreDamaged, UsageError
from sandbox.store import extents as extents_module
from sandbox.store import history, manifest, parts, retention
from sandbox.store.database import Database
from sandbox.store.extents import Extent, Extents, most_extents, overlay
from sandbox.store.history import ArtifactRecord, ExecutionRecord
from sandbox.store.manifest import Delta, FileEntry, Manifest, row_id
from sandbox.store.pool import Tree
from sandbox.store.sealed import digest, packed
from sandbox.store.staged import StagedFile, StagedPart
from sandbox.store.staging import LARGE, Staging


class Checkpoint(NamedTuple):
    """What is said of a checkpoint beside its content."""

    parent: int
    made: float
    label: str | None = None
    execution: ExecutionRecord | None = None
    outputs: bytes | None = None
    outputs_part: StagedPart | None = None
    artifacts: Sequence[tuple[ArtifactRecord, StagedPart]] = ()


class Written(NamedTuple):
    """What a commit has made: the difference, and the parts that have come to be in too many pieces."""

    delta: Delta
    chain: int
    fragmented: list[int]


class Parent(NamedTuple):
    """What a commit builds on: its manifest is brought up to date by whoever has it in memory."""

    number: int
    manifest: Manifest
    chain: int


class Writer:
    """Writes parts and checkpoints of one tree, within a transaction of the caller's."""

    def __init__(self, database: Database, tree: Tree, staging: Staging, known: Mapping[str, manifest.Entry]) -> None:
        self._database, self._tree, self._staging, self._known = database, tree, staging, known
        self._records: list[int] = []
        self.pack: int | None = None
        self.fragmented: list[int] = []

    def packs(self) -> None:
        """Say how far the pack goes now, and what is in it."""
        pack = self._staging.pack
        if pack is None:
            return
        self.pack = pack.id
        if pack.id is None:
            query = "INSERT INTO packs (tree, name, size) VALUES (?, ?, ?)"
            self.pack = self._database.run(query, self._tree.id, pack.path.name, pack.end).lastrowid
        else:
            self._database.run("UPDATE packs SET size = ? WHERE id = ?", pack.end, pack.id)
        query = "INSERT INTO records (pack, header, start, size, digest) VALUES (?, ?, ?, ?, ?)"
        for record in self._staging.records:
            row = self._database.run(query, self.pack, *record).lastrowid
            assert row is not None
            self._records.append(row)

    def record(self, index: int) -> int:
        """The row of one of the staging's records."""
        return self._records[index]

    def delta(self) -> Delta:
        """Store the parts of every change."""
        return {key: self._entry(key, change) for key, change in self._staging.changes.items()}

    def part(self, part: StagedPart) -> int:
        """Store a part; return its number. One with the same large content in the tree serves for both."""
        if part.data is not None:
            return self.insert(part.size, part.digest, None, part.data)
        return self._twin(part) or self.insert(part.size, part.digest, self._extents(part), None)

    def _twin(self, part: StagedPart) -> int | None:
        """A part with this content, if it is whole: the one that just came in must not be lost to a damaged one."""
        query = "SELECT id FROM parts WHERE tree = ? AND digest = ? AND size = ? AND extents IS NOT NULL"
        for (number,) in self._database.all(query, self._tree.id, part.digest, part.size):
            try:
                self._reader().open({"twin": number}, verified=True).close()
            except StoreDamaged:
                continue
            return int(number)
        return None

    def _reader(self) -> parts.Reader:
        assert self._staging.pack is not None
        return parts.Reader(self._database, self._staging.pack.path.parent)

    def _entry(self, key: str, change: StagedPart | StagedFile | None) -> manifest.Entry | None:
        if change is None:
            return None
        if isinstance(change, StagedPart):
            return self._patched(key, change) if change.patches else self.part(change)
        part = change.part if change.content is None else self.part(change.content)
        return FileEntry(change.kind, change.mode, change.mtime, change.size, part, change.target)

    def _extents(self, part: StagedPart) -> Extents:
        return tuple(extent._replace(record=self._records[extent.record]) for extent in part.extents)

    def _patched(self, key: str, patch: StagedPart) -> int:
        entry = self._known.get(key)
        base = parts.rows(self._database, [entry])[entry] if isinstance(entry, int) else None
        if base is None or base.size != patch.size:
            seen = "nothing" if base is None else f"{base.size} bytes"
            raise ProtocolError(f"a patch is for {patch.size} bytes of {key!r}, and the checkpoint before has {seen}")
        if patch.size < LARGE:
            return self._patched_small(base, patch)
        if base.extents is None:
            raise ProtocolError(f"a patch is for {key!r}, which is not in a pack")
        extents = overlay(base.extents, self._extents(patch))
        number = self.insert(patch.size, digest(base.digest + patch.digest), extents, None)
        if len(extents) > most_extents(patch.size) or self._spread(extents) > 2 * patch.size:
            self.fragmented.append(number)
        return number

    def _patched_small(self, base: parts.PartRow, patch: StagedPart) -> int:
        """A small part stays bytes in the database: put the new ones into a copy."""
        data = bytearray(base.inline() if base.extents is None else self._small(base))
        pack = self._staging.pack
        assert pack is not None
        for extent in patch.extents:
            start = self._staging.records[extent.record].start + extent.start
            data[extent.at : extent.end] = os.pread(pack.fd, extent.size, start)
        return self.insert(len(data), digest(data), None, packed(bytes(data)))

    def _small(self, base: parts.PartRow) -> bytes:
        with self._reader().open({"base": base.id}) as opened:
            return opened.read("base")

    def _spread(self, extents: Sequence[Extent]) -> int:
        """The bytes of all the records that a part keeps alive."""
        return parts.record_bytes(self._database, {extent.record for extent in extents})

    def insert(self, size: int, address: bytes, extents: Extents | None, data: bytes | None) -> int:
        """Add a part's row."""
        where = None if extents is None else extents_module.encode(extents)
        query = "INSERT INTO parts (tree, size, digest, extents, data) VALUES (?, ?, ?, ?, ?)"
        row = self._database.run(query, self._tree.id, size, address, where, data).lastrowid
        assert row is not None
        return row


def write(
    database: Database, session: int, number: int, writer: Writer, checkpoint: Checkpoint, parent: Parent
) -> Written:
    """Write everything of a checkpoint but the session's row, within a transaction of the caller's."""
    writer.packs()
    delta = writer.delta()
    chain = _insert_checkpoint(database, session, number, checkpoint, delta, parent)
    if checkpoint.execution is None and (checkpoint.artifacts or checkpoint.outputs or checkpoint.outputs_part):
        raise UsageError("outputs and artifacts belong to an execution")
    if checkpoint.execution is not None:
        part = writer.part(checkpoint.outputs_part) if checkpoint.outputs_part else None
        history.insert(database, session, checkpoint.execution, checkpoint.outputs, part)
        if checkpoint.artifacts:
            stored = [_with_part(artifact, writer.part(content)) for artifact, content in checkpoint.artifacts]
            history.insert_artifacts(database, session, checkpoint.execution.number, stored)
    return Written(delta, chain, writer.fragmented)


def amend(database: Database, tree: Tree, row: int, writer: Writer) -> Delta:
    """Change a checkpoint that nothing builds on, within a transaction of the caller's; return how."""
    found = database.one("SELECT delta, whole FROM checkpoints WHERE id = ?", row)
    if found is None:
        raise UsageError("there is no checkpoint yet that could be changed")
    writer.packs()
    delta = writer.delta()
    before = manifest.decode(found[0], "the head")
    after = {**before, **delta}
    whole = None
    if found[1] is not None:
        whole = {key: entry for key, entry in manifest.decode(found[1], "the head").items() if entry is not None}
        manifest.apply(whole, delta)
    query = "UPDATE checkpoints SET delta = ?, whole = ? WHERE id = ?"
    database.run(query, manifest.encode(after), whole and manifest.encode(whole), row)
    retention.delete_parts(database, tree, manifest.parts_of(before) - manifest.parts_of(after))
    return delta


def _with_part(artifact: ArtifactRecord, part: int) -> ArtifactRecord:
    return ArtifactRecord(
        name=artifact.name, mime=artifact.mime, size=artifact.size, sha256=artifact.sha256, created=artifact.created,
        part=part,
    )  # fmt: skip


def _insert_checkpoint(
    database: Database, session: int, number: int, checkpoint: Checkpoint, delta: Delta, parent: Parent
) -> int:
    blob, whole, chain = manifest.encode(delta), None, parent.chain + 1
    if manifest.wants_whole(chain, len(blob), len(parent.manifest) + len(delta)):
        full = dict(parent.manifest)
        manifest.apply(full, delta)
        whole, chain = manifest.encode(full), 0
    database.run(
        "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row_id(session, number), checkpoint.parent,
        checkpoint.execution and checkpoint.execution.number, checkpoint.made, checkpoint.label, chain, blob, whole,
    )  # fmt: skip
    return chain
