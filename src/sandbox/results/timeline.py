"""Checkpoints, variables, and what differs between two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.protocol import messages as m


@dataclass(frozen=True)
class Checkpoint:
    """The stored state after an execution: variables and files. `parent` is the number of the one before it, or 0.

    `execution` is the number of the execution that made it, if one did; `current` says whether the session is there.
    """

    number: int
    parent: int
    execution: int | None
    created_at: datetime
    label: str | None = None
    current: bool = False

    @classmethod
    def of(cls, info: m.CheckpointInfo, head: int) -> Checkpoint:
        """Build one from the wire's form."""
        created = datetime.fromtimestamp(info.created_at, UTC)
        return cls(info.number, info.parent, info.execution, created, info.label, info.number == head)


@dataclass(frozen=True)
class Variable:
    """A variable as it is stored. `size` is in bytes, and counts once what it shares with `shared_with`.

    `since` is the execution that changed it last. `lost` is why it could not be stored, if it could not.
    """

    name: str
    type: str
    size: int
    since: int
    shape: tuple[int, ...] | None = None
    text: str | None = None
    shared_with: tuple[str, ...] = ()
    lost: str | None = None

    @classmethod
    def of(cls, info: m.VariableInfo) -> Variable:
        """Build one from the wire's form."""
        return cls(
            info.name, info.type, info.size, info.since, info.shape, info.text, info.shared_with, info.lost
        )  # fmt: skip


@dataclass(frozen=True)
class Changes:
    """Names that are there additionally, not any more, and otherwise; each sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Difference:
    """What one checkpoint has otherwise than another."""

    variables: Changes
    files: Changes

    @classmethod
    def of(cls, found: m.Compared) -> Difference:
        """Build one from the wire's form."""
        return cls(*(Changes(names.added, names.removed, names.changed) for names in (found.variables, found.files)))

    def __bool__(self) -> bool:
        return bool(self.variables or self.files)
