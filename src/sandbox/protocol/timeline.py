"""Checkpoints: made, listed, gone back to, forked, compared, exported."""

from __future__ import annotations

from msgspec import Struct

from sandbox.protocol.base import LastEvent, Request


class CheckpointInfo(Struct, frozen=True):
    """The stored state after an execution. `parent` is the checkpoint before it, 0 for none."""

    number: int
    parent: int
    execution: int | None
    created_at: float
    label: str | None = None


class VariableInfo(Struct, frozen=True):
    """A variable as of a checkpoint. `size`: stored bytes, together with all that is in `shared_with`."""

    name: str
    type: str
    size: int
    since: int
    shape: tuple[int, ...] | None = None
    text: str | None = None
    shared_with: tuple[str, ...] = ()
    lost: str | None = None


class NamesChanged(Struct, frozen=True):
    """Names that another checkpoint has more, less and otherwise, sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class MakeCheckpoint(Request, frozen=True, tag="make_checkpoint"):
    """Save what is not saved yet, and give the checkpoint a label. Answered by `CheckpointsListed` with that one."""

    session: str
    label: str | None = None


class ListCheckpoints(Request, frozen=True, tag="list_checkpoints"):
    """Ask for every checkpoint, oldest first."""

    session: str


class Rollback(Request, frozen=True, tag="rollback"):
    """Go back to a checkpoint, variables and files: by its number, its label, or the execution that made it."""

    session: str
    checkpoint: int | None = None
    label: str | None = None
    execution: int | None = None


class Fork(Request, frozen=True, tag="fork"):
    """Make and open sessions with these ids that begin where this one is now."""

    session: str
    ids: tuple[str, ...]


class ListVariables(Request, frozen=True, tag="list_variables"):
    """Ask for the variables as of the session's checkpoint."""

    session: str


class Compare(Request, frozen=True, tag="compare"):
    """Ask what differs between two checkpoints, by number."""

    session: str
    old: int
    new: int


class GetDigest(Request, frozen=True, tag="get_digest"):
    """Ask for the digest of what a checkpoint has."""

    session: str
    checkpoint: int


class Export(Request, frozen=True, tag="export"):
    """Ask for the session as a file: a "notebook", or an "archive" to be imported elsewhere. `Data`, then `Done`."""

    session: str
    format: str


class CheckpointsListed(LastEvent, frozen=True, tag="checkpoints_listed"):
    """Checkpoints, and which one the session is at."""

    checkpoints: tuple[CheckpointInfo, ...]
    head: int


class VariablesListed(LastEvent, frozen=True, tag="variables_listed"):
    """Variables by name."""

    variables: tuple[VariableInfo, ...]


class Compared(LastEvent, frozen=True, tag="compared"):
    """What differs."""

    variables: NamesChanged
    files: NamesChanged


class Digested(LastEvent, frozen=True, tag="digested"):
    """SHA-256 of a checkpoint's content, in hexadecimal digits."""

    digest: str
