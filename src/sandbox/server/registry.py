"""The sandboxes that the server knows: whose they are, and with what options they start again."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Struct

from sandbox.protocol.messages import SessionOptions
from sandbox.store.database import Database

_options = msgspec.msgpack.Decoder(SessionOptions)


class Entry(Struct):
    """One sandbox. `open`: it is started, with a worker or parked."""

    owner: str
    id: str
    options: SessionOptions
    created: float
    open: bool


def _without_secrets(options: SessionOptions) -> SessionOptions:
    """What is written down. After a restart the values of secrets are not known, until the sandbox is opened again."""
    return msgspec.structs.replace(options, secrets=tuple(one.unknown() for one in options.secrets))


class Registry:
    """Keeps the entries in memory, and those of stored sandboxes on the disk as well. Environment variables too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.all("SELECT owner, id, options, created, open FROM sandboxes")
        entries = (Entry(owner, name, _options.decode(data), at, bool(open_)) for owner, name, data, at, open_ in rows)
        self._entries: dict[str, dict[str, Entry]] = {}
        for one in entries:
            self._entries.setdefault(one.owner, {})[one.id] = one

    def get(self, owner: str, name: str) -> Entry | None:
        """An owner's sandbox."""
        return self._entries.get(owner, {}).get(name)

    def of(self, owner: str) -> list[Entry]:
        """An owner's sandboxes, the oldest first."""
        return sorted(self._entries.get(owner, {}).values(), key=lambda one: (one.created, one.id))

    def borrowers(self, owner: str, lender: str) -> list[Entry]:
        """An owner's sandboxes that work in the files of another one."""
        return [one for one in self._entries.get(owner, {}).values() if one.options.files_of == lender]

    def every(self) -> list[Entry]:
        """All there are."""
        return [one for entries in self._entries.values() for one in entries.values()]

    def opened(self, owner: str, name: str, options: SessionOptions) -> None:
        """It was started."""
        known = self.get(owner, name)
        entry = Entry(owner, name, options, known.created if known else time.time(), open=True)
        if known is None or known != entry:
            self._entries.setdefault(owner, {})[name] = entry
            self._write(entry)

    def changed(self, owner: str, name: str, **changes: Any) -> None:
        """Some of its options are others now."""
        entry = self.get(owner, name)
        if entry is not None:
            entry.options = msgspec.structs.replace(entry.options, **changes)
            self._write(entry)

    def closed(self, owner: str, name: str) -> None:
        """It was stopped."""
        entry = self.get(owner, name)
        if entry is not None and entry.open:
            entry.open = False
            self._write(entry)

    def deleted(self, owner: str, name: str) -> None:
        """There is none any more."""
        entry = self._entries.get(owner, {}).pop(name, None)
        if entry is not None and entry.options.persist:
            with self._database.writing():
                self._database.run("DELETE FROM sandboxes WHERE owner = ? AND id = ?", owner, name)

    def _write(self, entry: Entry) -> None:
        """What is not stored ends with the server."""
        if entry.options.persist:
            with self._database.writing():
                self._database.run(
                    "INSERT OR REPLACE INTO sandboxes VALUES (?, ?, ?, ?, ?)", entry.owner, entry.id,
                    msgspec.msgpack.encode(_without_secrets(entry.options)), entry.created, entry.open,
                )  # fmt: skip
