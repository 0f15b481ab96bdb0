"""What `sandbox sessions` changes: rollback, fork, label, rm, export, import, gc; and verify."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.cli import sessions_find as find
from sandbox.cli import terminal
from sandbox.cli.sessions_text import number, show, show_json, size
from sandbox.errors import SessionBusy, SessionExists, UsageError
from sandbox.ids import checked_session_id

if TYPE_CHECKING:
    from argparse import Namespace

    from sandbox.store.sessions import SessionInfo
    from sandbox.store.store import Store
    from sandbox.store.verify import Report

DAMAGED = NOT_CONFIRMED = 1
_MOST_FORKS = 1000


# --- checkpoints ----------------------------------------------------------------------------------------------------


def rollback(store: Store, args: Namespace) -> int:
    """Make a checkpoint the head. Raises UsageError, SessionBusy."""
    info = find.session(store, args.session)
    to = find.checkpoint(store, info, args.to)
    with store.open(info.id, owner=find.OWNER) as session:
        before = session.head
        session.rollback(to)
    was = f", and was at {find.place(store, info, before)}" if before != to else " already"
    show(f"{terminal.plain(info.id)} is at {find.place(store, info, to)}{was}")
    return 0


def fork(store: Store, args: Namespace) -> int:
    """Make sessions that begin at a checkpoint; print their ids. Raises UsageError."""
    from sandbox.store.sessions import New  # noqa: PLC0415 - the store is open by now

    if not 1 <= args.number <= _MOST_FORKS:
        raise UsageError(f"-n {args.number}: from 1 to {_MOST_FORKS}")
    info = find.session(store, args.session)
    at = find.checkpoint(store, info, args.to)
    if at == 0:
        raise UsageError(f"{terminal.plain(info.id)} has nothing to fork from at its beginning")
    ids = [os.urandom(8).hex() for _ in range(args.number)]
    new = [New(each, find.OWNER, info.name, None, info.options) for each in ids]
    store.fork(info.id, new, at, owner=find.OWNER)
    terminal.note(f"forked from {terminal.plain(info.id)} at {find.place(store, info, at)}")
    show("\n".join(ids))
    return 0


def label(store: Store, args: Namespace) -> int:
    """Give a checkpoint a label, or take it away. Raises UsageError, SessionBusy."""
    info = find.session(store, args.session)
    at = find.checkpoint(store, info, args.to)
    if find.is_reserved(args.text):
        raise UsageError(f"{args.text!r} cannot be a label: it already means another checkpoint")
    with store.open(info.id, owner=find.OWNER) as session:
        session.label(at, args.text or None)
    show(f"labelled {find.place(store, info, at)}" if args.text else f"{find.place(store, info, at)} has no label now")
    return 0


# --- sessions -------------------------------------------------------------------------------------------------------


def remove(store: Store, args: Namespace) -> int:
    """Delete sessions: all of them, or none if one is held. Raises UsageError, SessionBusy."""
    infos = {info.id: info for info in (find.session(store, text) for text in args.sessions)}
    if not args.yes and sys.stdin is not None and os.isatty(0) and not _confirmed(list(infos.values())):
        terminal.note("nothing was deleted")
        return NOT_CONFIRMED
    with contextlib.ExitStack() as held:
        sessions = [held.enter_context(store.open(name, owner=find.OWNER)) for name in infos]
        for session in sessions:
            session.delete()
            show(f"deleted {terminal.plain(session.id)}")
    return 0


def _confirmed(infos: list[SessionInfo]) -> bool:
    for info in infos:
        name = f" {terminal.plain(info.name)!r}" if info.name else ""
        terminal.write(terminal.ERR, f"  {terminal.plain(info.id)}{name}, {size(info.bytes)}\n")
    terminal.write(terminal.ERR, f"Delete {number(len(infos), 'session')} with all checkpoints and files? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def export(store: Store, args: Namespace) -> int:
    """Write a session into a file: a notebook or an archive. Raises UsageError, StoreError, OSError."""
    info = find.session(store, args.session)
    target = Path(args.file)
    if target.suffix not in {".ipynb", ".sandbox"}:
        raise UsageError(f"{args.file!r}: the name ends in .ipynb for a notebook, or in .sandbox to import elsewhere")
    if os.path.lexists(target) and not args.replace:
        raise UsageError(f"there is {args.file!r} already: --replace replaces it")
    if target.suffix == ".sandbox":
        store.export(info.id, target, owner=find.OWNER)
    else:
        _write(target, store.notebook(info.id, owner=find.OWNER))
    show(f"{terminal.plain(info.id)} is in {terminal.plain(args.file)}, {size(target.stat().st_size)}")
    return 0


def _write(target: Path, content: bytes) -> None:
    """Write a file that is there when it is complete. Raises OSError."""
    part = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def import_one(store: Store, args: Namespace) -> int:
    """Take in an archive; print the id. Raises UsageError, SessionExists, StoreError."""
    if args.id:
        checked_session_id(args.id)
    try:
        made = store.import_session(Path(args.file), owner=find.OWNER, session=args.id)
    except SessionExists as error:
        raise UsageError(f"{error.message}: --id gives the imported one another") from error
    show(terminal.plain(made))
    return 0


# --- the store ------------------------------------------------------------------------------------------------------


def collect(store: Store, args: Namespace) -> int:
    """Drop old checkpoints, if that is asked for, and free what nothing needs; say how much that was.

    Raises UsageError, SessionBusy, StoreError.
    """
    if args.keep is not None:
        show(f"dropped {number(_thin_out(store, args), 'checkpoint')}")
    elif args.sessions:
        raise UsageError("gc of single sessions takes --keep N: how many of their checkpoints to keep")
    freed = store.gc()
    show(f"freed {size(max(freed.before - freed.after, 0))}; the packs have {size(freed.after)}")
    for name in freed.damaged:
        terminal.note(f"the pack {name} is damaged and was left as it is: `sandbox sessions verify` says what it has")
    return DAMAGED if freed.damaged else 0


def _thin_out(store: Store, args: Namespace) -> int:
    """Drop all but the newest checkpoints; return how many that were."""
    infos = [find.session(store, text) for text in args.sessions] or store.sessions(find.OWNER)
    dropped = 0
    for info in infos:
        try:
            with store.open(info.id, owner=find.OWNER) as session:
                before = len(store.checkpoints(info.id, owner=find.OWNER))
                session.quota.keep_newest(args.keep)
                dropped += before - len(store.checkpoints(info.id, owner=find.OWNER))
        except SessionBusy as error:
            if args.sessions:
                raise
            terminal.note(f"{error.message}; its checkpoints stay")
    return dropped


def verify(store: Store, args: Namespace) -> int:
    """Read everything that is stored; 1 if something is damaged."""
    report = store.verify()
    if args.json:
        show_json({"ok": report.ok, **report._asdict()})
    else:
        _show_report(report)
    return 0 if report.ok else DAMAGED


def _show_report(report: Report) -> None:
    for problem in (*report.database, *report.packs):
        terminal.note(terminal.plain(problem))
    for session, broken in report.broken.items():
        for at, keys in broken.items():
            terminal.note(f"{terminal.plain(session)} #{at} is damaged: {terminal.plain(', '.join(keys))}")
    whole = sum(map(len, report.whole.values()))
    show(f"{number(whole, 'checkpoint')} of {number(len(report.whole), 'session')}: whole")
    if not report.ok:
        damaged = sum(map(len, report.broken.values()))
        show(f"{number(damaged, 'checkpoint')}: damaged. Those that are whole can be gone back to with rollback")
