"""A session that works in the files of another one, instead of in a workspace of its own.

That is for a second language: its worker is another process, and its variables are its own, but the files are the
same. They belong to the session that lends them, and to its checkpoints alone. What the borrower changes there goes
into the lender's next checkpoint, which is made at once unless the lender is at something; checkpoints of the borrower
hold variables, and a rollback of it leaves the files alone. It is closed and deleted with the lender.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from sandbox.engine.languages import is_node
from sandbox.engine.waiting import uncancelled
from sandbox.errors import SandboxClosedError, SandboxError, UsageError

if TYPE_CHECKING:
    from sandbox.engine.launcher import Spawn
    from sandbox.engine.session import Session
    from sandbox.protocol.messages import ExecutionFinished, SessionOptions


def lender_of(active: Callable[[str], Session], options: SessionOptions, owner: str) -> Session | None:
    """The session whose files one with these options works in. Raises UsageError, SandboxClosedError."""
    if options.files_of is None:
        return None
    if not is_node(options.language):
        raise UsageError("files_of= is for sessions in JavaScript: others have a workspace of their own")
    try:
        lender = active(options.files_of)
    except SandboxClosedError as error:
        raise SandboxClosedError(f"its files are those of another session: {error.message}") from error
    if lender.owner != owner:
        raise SandboxClosedError(f"its files are those of another session: there is no open one {options.files_of!r}")
    if lender.options.files_of is not None:
        raise UsageError(f"the session {options.files_of!r} has no files of its own: name the one that it has them of")
    return lender


async def save(spawn: Spawn, session: Session, finished: ExecutionFinished) -> ExecutionFinished:
    """Have what an execution has changed in the files of another session stored there; return how it ended."""
    lender, changes = session.lender, finished.files
    if lender is None or lender.workspace is None or not (changes.created or changes.modified or changes.deleted):
        return finished
    lender.workspace.touched = True
    if lender.turn.locked():
        spawn(_save_later(lender))
        return finished
    try:
        await uncancelled(_save_files(lender))
    except (SandboxError, OSError) as error:
        warning = f"the files that this execution changed were not saved: {error}"
        return msgspec.structs.replace(finished, warnings=(*finished.warnings, warning))
    return finished


async def _save_later(lender: Session) -> None:
    with contextlib.suppress(SandboxError, OSError):  # they are still marked as to be saved, by whatever comes next
        await _save_files(lender)


async def _save_files(lender: Session) -> None:
    async with lender.turn:
        await lender.keep()
        workspace = lender.own_workspace
        if lender.kept is not None and workspace is not None and workspace.touched:
            await lender.kept.checkpoint(None, workspace)
