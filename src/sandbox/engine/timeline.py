"""Checkpoints as callers see them: listed, gone back to, compared, forked, exported. Runs in the store's thread."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.errors import StoreDamaged, UsageError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.store.session import StoredSession
    from sandbox.store.store import Store

_FILES = "file/"
_INDEX = "index"
_SIMPLE = {"NoneType", "bool", "bytes", "complex", "float", "int", "str"}
_MOST_INDEX = 32 * 1024 * 1024  # bytes, for a hundred thousand names


class _Variable(msgspec.Struct):
    """What a worker wrote into its index about a name: for people to read, and nothing else."""

    type: str = ""
    since: int = 0
    group: int | None = None
    shape: tuple[int, ...] | None = None
    text: str | None = None
    value: Any = None
    module: str | None = None
    lost: str | None = None


class _Group(msgspec.Struct):
    size: int = 0


class _Index(msgspec.Struct):
    names: dict[str, _Variable]
    groups: dict[int, _Group]


_index = msgspec.json.Decoder(_Index)


def listing(store: Store, session: StoredSession) -> m.CheckpointsListed:
    """Every checkpoint of a session, and its head."""
    found = store.checkpoints(session.id, owner=session.owner)
    return m.CheckpointsListed(tuple(m.CheckpointInfo(*one) for one in found), session.head)


def state_of(store: Store, session: StoredSession) -> int:
    """The execution whose variables the head has: not that of a worker that died before it had saved them."""
    made_by = {one.number: (one.execution, one.parent) for one in store.checkpoints(session.id, owner=session.owner)}
    execution, parent = made_by.get(session.head, (None, 0))
    while execution is None and parent:
        execution, parent = made_by.get(parent, (None, 0))
    if execution is None:
        return 0
    rows = store.history(session.id, owner=session.owner, limit=1, before=execution + 1)
    return int(rows[0].info.get("state_of", execution)) if rows else execution


def find(store: Store, session: StoredSession, request: m.Rollback) -> int:
    """The number of the checkpoint that is meant. Raises CheckpointNotFound, UsageError."""
    match request:
        case m.Rollback(checkpoint=int(number), label=None, execution=None):
            return store.find(session.id, number, owner=session.owner)
        case m.Rollback(checkpoint=None, label=str(label), execution=None):
            return store.find(session.id, label, owner=session.owner)
        case m.Rollback(checkpoint=None, label=None, execution=int(execution)):
            from sandbox.store import tree  # noqa: PLC0415

            return tree.of_execution(session.database, session.key, execution) if execution else 0
    raise UsageError("name one checkpoint: by its number, its label or its execution")


def variables(store: Store, session: StoredSession, at: int | None = None) -> tuple[m.VariableInfo, ...]:
    """The variables of a checkpoint, the head by default, by name. Raises StoreDamaged.

    What else of the session is kept, such as its modules and what it has put into libraries, has names with a space.
    """
    return _variables(_read(store, session, at))


def shown_of(data: bytes) -> tuple[m.VariableInfo, ...]:
    """The variables of an index as a worker sent it. Raises StoreDamaged."""
    return _variables(_decoded(data, "shown"))


def _variables(index: _Index) -> tuple[m.VariableInfo, ...]:
    together: dict[int, list[str]] = {}
    for name, one in index.names.items():
        if one.group is not None and " " not in name:
            together.setdefault(one.group, []).append(name)
    return tuple(
        _variable(name, one, index, together) for name, one in sorted(index.names.items()) if _is_variable(name)
    )


def is_plain(store: Store, session: StoredSession) -> bool:
    """Whether the variables of the head are simple values, which load without packages. False for what is damaged."""
    try:
        return all(one.type in _SIMPLE for one in variables(store, session))
    except StoreDamaged:
        return False


def _is_variable(name: str) -> bool:
    return " " not in name and not (name.startswith("__") and name.endswith("__"))


def _variable(name: str, one: _Variable, index: _Index, together: Mapping[int, list[str]]) -> m.VariableInfo:
    group = one.group
    others = tuple(sorted(other for other in together.get(group, ()) if other != name)) if group is not None else ()
    size = index.groups.get(group, _Group()).size if group is not None else len(msgspec.json.encode(one.value))
    text = one.text if one.text is not None or one.value is None else repr(one.value)[:200]
    return m.VariableInfo(
        name, one.type, size, one.since, one.shape, one.module or text, shared_with=others, lost=one.lost
    )


def compare(store: Store, session: StoredSession, old: int, new: int) -> m.Compared:
    """What differs in variables and files. Raises CheckpointNotFound, StoreDamaged."""
    keys = store.diff(session.id, old, new, owner=session.owner)
    before, after = (_read(store, session, number) for number in (old, new))
    changed_keys = {*keys.added, *keys.removed, *keys.changed}
    old_names, new_names = (set(filter(_is_variable, index.names)) for index in (before, after))
    changed = {name for name in old_names & new_names if _differs(before.names[name], after.names[name], changed_keys)}
    return m.Compared(
        variables=_names(new_names - old_names, old_names - new_names, changed),
        files=_names(*(_paths(part) for part in (keys.added, keys.removed, keys.changed))),
    )


def digest(store: Store, session: StoredSession, checkpoint: int) -> m.Digested:
    """By which the same content is known elsewhere. Raises CheckpointNotFound, StoreDamaged."""
    return m.Digested(store.digest(session.id, checkpoint, owner=session.owner).hex())


def _differs(old: _Variable, new: _Variable, changed: set[str]) -> bool:
    if old.group is None or new.group is None or old.group != new.group:
        return (old.group, old.type, old.value, old.lost) != (new.group, new.type, new.value, new.lost)
    return f"group/{new.group}" in changed or old.since != new.since


def _names(added: Any, removed: Any, changed: Any) -> m.NamesChanged:
    return m.NamesChanged(*(tuple(sorted(names)) for names in (added, removed, changed)))


def _paths(keys: tuple[str, ...]) -> set[str]:
    return {key.removeprefix(_FILES) for key in keys if key.startswith(_FILES)}


def export(store: Store, session: StoredSession, request: m.Export, scratch: Path) -> bytes | Path:
    """The notebook's bytes, or the archive's file, which the caller removes. Raises UsageError, StoreError."""
    if request.format == "notebook":
        return store.notebook(session.id, owner=session.owner)
    if request.format != "archive":
        raise UsageError(f"format={request.format!r} is neither 'notebook' nor 'archive'")
    store.export(session.id, scratch, owner=session.owner)
    return scratch


def _read(store: Store, session: StoredSession, at: int | None) -> _Index:
    manifest = session.manifest if at is None else store.manifest(session.id, at, owner=session.owner)
    wanted = {key: entry for key, entry in manifest.items() if key == _INDEX or key.startswith(f"{_INDEX}/")}
    found, left = _Index({}, {}), _MOST_INDEX
    with store.parts(session, wanted) as parts:
        for key in wanted:
            left -= parts.size(key)
            if left < 0:
                raise StoreDamaged(f"the index of the session {session.id!r} is larger than any that is read here")
            shard = _decoded(parts.read(key), session.id)
            found.names.update(shard.names)
            found.groups.update(shard.groups)
    return found


def _decoded(data: bytes, session: str) -> _Index:
    """Read what a worker wrote. Raises StoreDamaged."""
    try:
        return _index.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreDamaged(f"the index of the session {session!r} does not decode: {error}") from error
