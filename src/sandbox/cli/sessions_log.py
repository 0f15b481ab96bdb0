"""`sandbox sessions log`: the tree of checkpoints, drawn like `git log --graph`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.cli import sessions_find as find
from sandbox.cli import terminal
from sandbox.cli.sessions_text import Column, age, columns, duration, first_line, number, show, show_json, table

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from sandbox.store.history import ExecutionRecord
    from sandbox.store.sessions import SessionInfo
    from sandbox.store.store import Store
    from sandbox.store.tree import CheckpointInfo

_EVERY = 1 << 31
_COLUMNS = (
    Column(""), Column("EXECUTION", right=True), Column("AGE", right=True), Column("STATUS"),
    Column("TIME", right=True), Column("CODE", flexible=True),
)  # fmt: skip


class _Drawn(NamedTuple):
    """A line: what is left of the text, and the checkpoint beside it; None for a line that only joins others."""

    graph: str
    number: int | None


def log(store: Store, args: Namespace) -> int:
    """Show every checkpoint."""
    info = find.session(store, args.session)
    with store.database.reading():
        info = store.session(info.id, owner=find.OWNER)  # as it is in the state of the database that is read here
        made = {one.number: one for one in store.checkpoints(info.id, owner=find.OWNER)}
        executions = {one.number: one for one in store.history(info.id, owner=find.OWNER, limit=_EVERY)}
    if args.json:
        listed = [_as_json(one, executions.get(one.execution or 0), info) for one in made.values()]
        show_json({"session": info.id, "head": info.head, "checkpoints": listed})
        return 0
    if not made:
        terminal.note(f"the session {terminal.plain(info.id)} has no checkpoint yet")
        return 0
    lines = list(drawn([(one.number, one.parent) for one in made.values()], info.head))
    rows = [_row(line, made, executions, info) for line in lines]
    left = rows if args.most is None else rows[: args.most]
    show(table(_COLUMNS, left, most=columns()))
    if len(left) < len(rows):
        terminal.note(f"and {number(len(rows) - len(left), 'more line')}")
    return 0


def drawn(checkpoints: Sequence[tuple[int, int]], head: int) -> Iterator[_Drawn]:
    """The tree of (number, parent), the newest branch first and each branch in one piece.

    The first branch at a checkpoint goes straight up from it; the others lie one column further right.
    """
    children, newest = _children(checkpoints)
    several = len(children.get(0, ())) > 1 or head == 0
    work: list[tuple[str, int, int]] = [("visit", 0, 0)]
    while work:
        what, at, column = work.pop()
        if what == "join":
            yield _Drawn(f"{'| ' * column}|/", None)
        elif what == "draw":
            if at or several:
                yield _Drawn(f"{'| ' * column}{'*' if at else 'o'} ", at)
        else:
            work.append(("draw", at, column))
            above = sorted(children.get(at, ()), key=newest.__getitem__)
            for child in above[:-1]:
                work += [("join", at, column), ("visit", child, column + 1)]
            work += [("visit", child, column) for child in above[-1:]]  # taken first: the work is done from its end


def _children(checkpoints: Sequence[tuple[int, int]]) -> tuple[dict[int, list[int]], dict[int, int]]:
    """Each one's children, and the newest number in the branch that begins with it."""
    known = {one for one, _ in checkpoints}
    children: dict[int, list[int]] = {}
    newest: dict[int, int] = {}
    for one, parent in sorted(checkpoints, reverse=True):  # a parent's number is the lower one
        above = parent if parent in known else 0
        children.setdefault(above, []).append(one)
        newest[one] = max(newest.get(one, 0), one)
        newest[above] = max(newest.get(above, 0), newest[one])
    return children, newest


def _row(
    line: _Drawn, made: dict[int, CheckpointInfo], executions: dict[int, ExecutionRecord], info: SessionInfo
) -> tuple[str, ...]:
    if line.number is None:
        return (line.graph, "", "", "", "", "")
    if line.number == 0:
        return (f"{line.graph}#0", "", "", "", "", f"{_refs(None, 0, info)}before the first checkpoint")
    one = made[line.number]
    record = executions.get(one.execution or 0)
    return (
        f"{line.graph}#{one.number}",
        "" if one.execution is None else str(one.execution),
        age(time.time() - one.made),
        terminal.plain(record.status) if record else "",
        duration(record.seconds) if record else "",
        _refs(one.label, one.number, info) + (_code(record) if record else _origin(one, info)),
    )


def _refs(label: str | None, number: int, info: SessionInfo) -> str:
    names = (["head"] if number == info.head else []) + ([terminal.plain(label)] if label else [])
    return f"({', '.join(names)}) " if names else ""


def _code(record: ExecutionRecord) -> str:
    state_of = record.info.get("state_of", record.number)
    other = isinstance(state_of, int) and state_of != record.number  # it died before it had saved its own
    kept = f"[variables as after {state_of}] " if other else ""
    return kept + first_line(record.code)


def _origin(one: CheckpointInfo, info: SessionInfo) -> str:
    """What a checkpoint is that no execution made."""
    if one.parent == 0 and info.origin is not None:
        return f"forked from {terminal.plain(info.origin.session)} at #{info.origin.checkpoint}"
    return "saved without an execution"


def _as_json(one: CheckpointInfo, record: ExecutionRecord | None, info: SessionInfo) -> dict[str, Any]:
    return {
        "number": one.number,
        "parent": one.parent,
        "execution": one.execution,
        "made": one.made,
        "label": one.label,
        "head": one.number == info.head,
        "status": record and record.status,
        "error_type": record and record.error_type,
        "cause": record and record.cause,
        "seconds": record and record.seconds,
        "code": record and record.code,
        "state_of": record and record.info.get("state_of", record.number),
    }
