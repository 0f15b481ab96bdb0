"""`sandbox sessions list`, `show` and `diff`: what is stored. Nothing here writes, nor minds who holds a session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from sandbox.cli import sessions_find as find
from sandbox.cli import terminal
from sandbox.cli.sessions_text import Column, age, columns, cut, duration, number, show, show_json, size, table, wrapped

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from sandbox.protocol.messages import NamesChanged, VariableInfo
    from sandbox.store.manifest import FileEntry
    from sandbox.store.session import StoredSession
    from sandbox.store.sessions import SessionInfo
    from sandbox.store.store import Store

_FEW = 30
_SESSIONS = (
    Column("SESSION", flexible=True), Column("NAME", flexible=True), Column("USED", right=True),
    Column("EXECUTIONS", right=True), Column("CHECKPOINTS", right=True), Column("SIZE", right=True), Column("HELD BY"),
)  # fmt: skip
_VARIABLES = (
    Column("NAME", flexible=True), Column("TYPE", flexible=True), Column("SIZE", right=True),
    Column("SINCE", right=True), Column("SHAPE"), Column("VALUE", flexible=True),
)  # fmt: skip
_KINDS = {"f": "file", "d": "directory", "l": "link"}


# --- list -----------------------------------------------------------------------------------------------------------


def show_list(store: Store, args: Namespace) -> int:
    """Show every session."""
    found = store.sessions(find.OWNER)
    if args.json:
        show_json({"sessions": [_as_json(store, info) for info in found]})
    elif found:
        show(table(_SESSIONS, [_session(store, info) for info in found], most=columns()))
    else:
        terminal.note(f"no session is stored in {terminal.plain(str(store.directory))}")
    return 0


def _session(store: Store, info: SessionInfo) -> tuple[str, ...]:
    made = len(store.checkpoints(info.id, owner=find.OWNER))
    return (
        terminal.plain(info.id),
        terminal.plain(_name(info)),
        age(time.time() - info.used),
        str(store.stats(info.id, owner=find.OWNER).executions),
        str(made),
        size(info.bytes),
        f"process {info.holder.pid}" if info.holder is not None and info.held else "",
    )


def _name(info: SessionInfo) -> str:
    return f"{info.name} ({info.label})" if info.name and info.label else info.name or info.label or ""


def _as_json(store: Store, info: SessionInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "name": info.name,
        "label": info.label,
        "created": info.created,
        "used": info.used,
        "executions": store.stats(info.id, owner=find.OWNER).executions,
        "checkpoints": len(store.checkpoints(info.id, owner=find.OWNER)),
        "size": info.bytes,
        "head": info.head,
        "held_by": str(info.holder) if info.held else None,
        "seed": info.options.get("seed"),
        "origin": info.origin and {"session": info.origin.session, "checkpoint": info.origin.checkpoint},
    }


# --- show -----------------------------------------------------------------------------------------------------------


def show_one(store: Store, args: Namespace) -> int:
    """Show what a session has at a checkpoint: variables, files, and what could not be kept."""
    info = find.session(store, args.session)
    at = find.checkpoint(store, info, args.to)
    variables = _variables(store, info, at)
    files = _files(store, info, at)
    if args.json:
        listed = [_variable_as_json(one) for one in variables]
        digest = store.digest(info.id, at, owner=find.OWNER).hex()
        facts = {**_as_json(store, info), "at": at, "digest": digest}
        show_json({**facts, "variables": listed, "files": [_file_as_json(*one) for one in files]})
        return 0
    _show_facts(store, info, at)
    kept = sorted((one for one in variables if one.lost is None), key=_largest_first)
    lost = [one for one in variables if one.lost is not None]
    most = None if args.all else _FEW
    _show_table("variables", _VARIABLES, [_variable(one) for one in kept], most)
    _show_table("files", (Column("SIZE", right=True), Column("PATH")), [_file(*one) for one in files], most)
    if lost:
        show("\nnot kept, and why")
    for one in lost:
        show(wrapped(_lost(one), columns(), indent="  "))
    return 0


def _variables(store: Store, info: SessionInfo, at: int) -> tuple[VariableInfo, ...]:
    from sandbox.engine import timeline  # noqa: PLC0415 - what the index of a checkpoint means is known there

    return timeline.variables(store, _readable(info), at)


def _readable(info: SessionInfo) -> StoredSession:
    """For the functions of the engine that only read: they use no more of a session than its id and its owner."""
    return cast("StoredSession", info)


def _show_facts(store: Store, info: SessionInfo, at: int) -> None:
    stats = store.stats(info.id, owner=find.OWNER)
    made = len(store.checkpoints(info.id, owner=find.OWNER))
    facts = {
        "session": info.id,
        "name": _name(info),
        "forked from": f"{info.origin.session} at #{info.origin.checkpoint}" if info.origin else "",
        "held by": str(info.holder) if info.held else "",
        "used": f"{age(time.time() - info.used)} ago, made {age(time.time() - info.created)} ago",
        "executions": f"{stats.executions}, {duration(stats.seconds)} in all" if stats.executions else "0",
        "stored": f"{number(made, 'checkpoint')}, {size(info.bytes)}",
        "head": find.place(store, info, info.head),
        "digest": store.digest(info.id, at, owner=find.OWNER).hex(),
        "shown": find.place(store, info, at) if at != info.head else "",
        "seed": "" if info.options.get("seed") is None else str(info.options["seed"]),
    }
    for name, value in facts.items():
        if value:
            show(cut(f"{name:<12} {terminal.plain(value)}", columns()))


def _show_table(title: str, heads: Sequence[Column], rows: Sequence[tuple[str, ...]], most: int | None) -> None:
    show(f"\n{title}{'' if rows else ': none'}")
    if rows:
        show(table(heads, rows[:most], indent="  ", most=columns()))
    if most is not None and len(rows) > most:
        show(f"  and {len(rows) - most} more: --all shows them")


def _largest_first(one: VariableInfo) -> tuple[object, ...]:
    """Names that share their memory, and so have one size, beside each other."""
    return -one.size, min((one.name, *one.shared_with)), one.name


def _variable(one: VariableInfo) -> tuple[str, ...]:
    shape = " x ".join(map(str, one.shape)) if one.shape is not None else ""
    since = str(one.since) if one.since else ""
    return terminal.plain(one.name), terminal.plain(one.type), size(one.size), since, shape, _text(one)


def _text(one: VariableInfo) -> str:
    shared = f"[with {', '.join(one.shared_with)}] " if one.shared_with else ""
    return terminal.plain(shared + (one.text or ""))


def _lost(one: VariableInfo) -> str:
    return terminal.plain(f"{one.name} ({one.type}, execution {one.since}): {one.lost}")


def _variable_as_json(one: VariableInfo) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _files(store: Store, info: SessionInfo, at: int) -> list[tuple[str, FileEntry]]:
    """The files of a checkpoint, without the directories that have something in them."""
    from sandbox.store.manifest import FileEntry  # noqa: PLC0415 - the store is open by now
    from sandbox.store.records import FILES  # noqa: PLC0415
    from sandbox.store.workspace import path_of  # noqa: PLC0415

    manifest = store.manifest(info.id, at, owner=find.OWNER)
    entries = ((key, entry) for key, entry in manifest.items() if key.startswith(FILES))
    found = {path_of(key): entry for key, entry in entries if isinstance(entry, FileEntry)}
    filled = {path.rpartition("/")[0] for path in found}
    return sorted((path, entry) for path, entry in found.items() if entry.kind != "d" or path not in filled)


def _file(path: str, entry: FileEntry) -> tuple[str, str]:
    target = f" -> {terminal.plain(entry.target.decode('utf-8', 'surrogateescape'))}" if entry.kind == "l" else ""
    return (size(entry.size) if entry.kind == "f" else ""), terminal.plain(path) + target + "/" * (entry.kind == "d")


def _file_as_json(path: str, entry: FileEntry) -> dict[str, Any]:
    return {"path": path, "kind": _KINDS.get(entry.kind, entry.kind), "size": entry.size, "modified": entry.mtime / 1e9}


# --- diff -----------------------------------------------------------------------------------------------------------


def diff(store: Store, args: Namespace) -> int:
    """Show what the second checkpoint has more, less and otherwise than the first."""
    from sandbox.engine import timeline  # noqa: PLC0415

    info = find.session(store, args.session)
    old, new = (find.checkpoint(store, info, text) for text in (args.old, args.new))
    found = timeline.compare(store, _readable(info), old, new)
    if args.json:
        parts = {"variables": found.variables, "files": found.files}
        changed = {name: {kind: getattr(part, kind) for kind in part.__struct_fields__} for name, part in parts.items()}
        show_json({"session": info.id, "old": old, "new": new, **changed})
        return 0
    before, after = ({one.name: one for one in _variables(store, info, at)} for at in (old, new))
    _show_changes("variables", _changes(found.variables, before, after))
    _show_changes("files", _changes(found.files, {}, {}))
    return 0


def _changes(
    names: NamesChanged, before: Mapping[str, VariableInfo], after: Mapping[str, VariableInfo]
) -> list[tuple[str, str, str]]:
    """A sign, a name and what it is or became, by name."""
    rows = [(name, "+", _described(after.get(name))) for name in names.added]
    rows += [(name, "-", _described(before.get(name))) for name in names.removed]
    rows += [(name, "~", _became(before.get(name), after.get(name))) for name in names.changed]
    return [(sign, terminal.plain(name), text) for name, sign, text in sorted(rows)]


def _described(one: VariableInfo | None) -> str:
    if one is None:
        return ""
    if one.lost is not None:
        return f"not kept: {terminal.plain(one.lost)}"
    return terminal.plain(one.text) if one.text is not None else f"{terminal.plain(one.type)}, {size(one.size)}"


def _became(old: VariableInfo | None, new: VariableInfo | None) -> str:
    was, now = _described(old), _described(new)
    return f"{was} -> {now}" if was != now else now


def _show_changes(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    show(f"{title}{'' if rows else ': no change'}")
    if not rows:
        return
    widest = max(len(name) for _, name, _ in rows)
    for sign, name, text in rows:
        show(cut(f"  {sign} {name:<{widest}}  {text}".rstrip(), columns()))
