"""Time travel: every execution is a checkpoint of variables and files, to go back to, fork from and compare."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, cast

from sandbox.errors import CheckpointNotFound, UsageError
from sandbox.ids import checked_session_id
from sandbox.protocol import messages as m
from sandbox.results import Checkpoint, Difference, Variable
from sandbox.sdk.blocking import Blocking
from sandbox.sdk.connection import Connection
from sandbox.sdk.execution import Execution

_FORMATS = {".ipynb": "notebook", ".sandbox": "archive"}


class Timeline(ABC):
    """What a sandbox can do with its checkpoints. The methods without `async` wait in the calling thread."""

    _connection: Connection
    _blocking: Blocking

    @property
    @abstractmethod
    def session_id(self) -> str:
        """The session's identity."""

    @abstractmethod
    def _sibling(self, session_id: str) -> Self:
        """A sandbox with the same options on another session."""

    async def checkpoint(self, label: str | None = None) -> Checkpoint:
        """Save what is not saved yet, such as files that were uploaded, and give the checkpoint a label.

        A labelled checkpoint is kept when old ones are dropped to make room. Raises StoreError.
        """
        made = await self._connection.ask(m.MakeCheckpoint(self.session_id, label), m.CheckpointsListed)
        return Checkpoint.of(made.checkpoints[-1], made.head)

    async def rollback(self, to: Checkpoint | int | str) -> None:
        """Go back: variables and files are what they were. What came after stays in the tree of checkpoints.

        Args:
            to: A `Checkpoint`, the number of the execution that made it (0: the beginning), or a label.

        Raises CheckpointNotFound.
        """
        await self._connection.ask(_rollback(self.session_id, to), m.Done)

    async def fork(self, n: int = 1, *, session_id: str | None = None, reseed: bool = False) -> list[Self]:
        """Return `n` started sandboxes that begin where this one is now, and are independent from there on.

        Random generators go on alike in all of them; with `reseed` each has a sequence of its own. One fork may be
        given its `session_id`. Raises SessionExists if there is such a session.
        """
        if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 1000:
            raise UsageError(f"fork({n!r}): n is a number from 1 to 1000")
        if session_id is not None and n != 1:
            raise UsageError(f"fork({n}, session_id={session_id!r}): only one session can have that id")
        ids = tuple(os.urandom(8).hex() for _ in range(n)) if session_id is None else (checked_session_id(session_id),)
        await self._connection.ask(m.Fork(self.session_id, ids), m.Done)
        return [await self._begin(each, reseed=reseed) for each in ids]

    async def _begin(self, session_id: str, *, reseed: bool) -> Self:
        sandbox = self._sibling(session_id)
        sandbox._changed = self._changed  # type: ignore[attr-defined]
        await sandbox.start()  # type: ignore[attr-defined]
        if reseed:
            await sandbox._connection.ask(m.Reseed(session_id), m.Done)
        return sandbox

    async def _dry_run(self, code: str, *how: Any) -> Execution:
        (trial,) = await self.fork()
        try:
            before = await trial._head()
            execution = await trial._execute(code, *how)  # type: ignore[attr-defined]
            request = m.Compare(trial.session_id, before, await trial._head())
            execution.changes = Difference.of(await trial._connection.ask(request, m.Compared))
        finally:
            await trial.delete()  # type: ignore[attr-defined]
        return cast("Execution", execution)

    async def _head(self) -> int:
        listed = await self._connection.ask(m.ListCheckpoints(self.session_id), m.CheckpointsListed)
        return listed.head

    def checkpoints(self) -> list[Checkpoint]:
        """Return every checkpoint, oldest first. They form a tree: each names its parent."""
        listed = self._blocking.ask(m.ListCheckpoints(self.session_id), m.CheckpointsListed)
        return [Checkpoint.of(one, listed.head) for one in listed.checkpoints]

    def variables(self) -> list[Variable]:
        """Return the variables as they were after the last execution, by name."""
        listed = self._blocking.ask(m.ListVariables(self.session_id), m.VariablesListed)
        return [Variable.of(one) for one in listed.variables]

    def diff(self, a: Checkpoint | int | str | None = None, b: Checkpoint | int | str | None = None) -> Difference:
        """Return what checkpoint `b` has more, less and otherwise than `a`: see `rollback` for what they may be.

        Without `b`: what the session has now, with files that were changed since the last execution. Without `a`:
        against the last checkpoint that was given a label on the way there, or the beginning.
        """
        if b is None:
            self.save_session()
        every = self.checkpoints()
        new = _current(every) if b is None else _number(every, b)
        old = _labelled(every, new) if a is None else _number(every, a)
        return Difference.of(self._blocking.ask(m.Compare(self.session_id, old, new), m.Compared))

    def digest(self, checkpoint: Checkpoint | int | str | None = None) -> str:
        """Return by what a checkpoint can be known elsewhere: SHA-256 of its variables, settings and files, as stored.

        Times of files are not part of it. Sandboxes with the same `seed` that have done the same have the same digest;
        where two differ first, they went apart. Without `checkpoint`: of what the session has now; else see `rollback`.
        """
        if checkpoint is None:
            number = self._blocking.ask(m.MakeCheckpoint(self.session_id), m.CheckpointsListed).head
        else:
            number = _number(self.checkpoints(), checkpoint)
        return self._blocking.ask(m.GetDigest(self.session_id, number), m.Digested).digest

    def save_session(self) -> None:
        """Save what is not saved yet: files that were changed otherwise than by an execution."""
        self._blocking.ask(m.MakeCheckpoint(self.session_id), m.CheckpointsListed)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the session to a file: a notebook (.ipynb), or an archive to import elsewhere (.sandbox).

        Raises UsageError for another name, OSError.
        """
        target = Path(path)
        form = _FORMATS.get(target.suffix)
        if form is None:
            raise UsageError(f"export({str(path)!r}): the name ends in {' or '.join(_FORMATS)}")
        part = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
        try:
            with part.open("xb") as file:
                for event in self._blocking.stream(m.Export(self.session_id, form)):
                    _write(file.write, event)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target


def _write(write: Callable[[bytes], Any], event: m.AnyEvent) -> None:
    if isinstance(event, m.Data):
        write(event.data)


def _rollback(session: str, to: Checkpoint | int | str) -> m.Rollback:
    if isinstance(to, Checkpoint):
        return m.Rollback(session, checkpoint=to.number)
    if isinstance(to, str):
        return m.Rollback(session, label=to)
    if isinstance(to, int) and not isinstance(to, bool):
        return m.Rollback(session, execution=to)
    raise UsageError(f"{to!r} is neither a Checkpoint, nor the number of an execution, nor a label")


def _number(every: list[Checkpoint], to: Checkpoint | int | str) -> int:
    """The number of the checkpoint that is meant. Raises CheckpointNotFound."""
    if isinstance(to, Checkpoint):
        return to.number
    if to == 0:
        return 0
    found = [one.number for one in every if (one.label if isinstance(to, str) else one.execution) == to]
    if not found:
        raise CheckpointNotFound(f"the session has no checkpoint {to!r}")
    return found[-1]


def _current(every: list[Checkpoint]) -> int:
    return next((one.number for one in every if one.current), 0)


def _labelled(every: list[Checkpoint], number: int) -> int:
    """The nearest checkpoint with a label before this one; 0 if there is none."""
    known = {one.number: one for one in every}
    while number in known:
        number = known[number].parent
        if number in known and known[number].label is not None:
            return number
    return 0
