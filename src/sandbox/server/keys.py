"""Keys: who may use the server, for what, and how much of it. Of a key only a digest is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from sandbox.errors import UsageError
from sandbox.store.database import Database

SCOPES = {
    "sandboxes": "make and use sandboxes of the key's owner",
    "environments": "choose packages for sandboxes: some of their code runs before it is confined",
    "network": "let code reach public hosts, as a policy allows, from this machine's address",
    "host": "show host directories inside, use the host's network, weaken the isolation: as good as an account here",
    "metrics": "read /metrics, which counts for all owners",
}
DEFAULT_SCOPES = ("sandboxes",)
_ALL = "SELECT id, digest, name, owner, created, expires, revoked, scopes, quotas FROM keys ORDER BY created, id"
_OWNER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_LOOK_SECONDS = 0.1
_NOBODY = hashlib.sha256(b"").digest()


class Quotas(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an owner may use through a key; None is without limit.

    `sandboxes` that are started, with a worker or parked; `memory` in MB of those that have a worker; `disk` in MB
    that is stored; `cpu_seconds` a day (UTC); `requests` a second.
    """

    sandboxes: int | None = None
    memory: int | None = None
    disk: int | None = None
    cpu_seconds: float | None = None
    requests: float | None = None


class Key(Struct, frozen=True):
    """A key without its secret. Times are seconds since 1970."""

    id: str
    name: str
    owner: str
    created: float
    expires: float | None
    revoked: float | None
    scopes: tuple[str, ...]
    quotas: Quotas

    @property
    def valid(self) -> bool:
        """Whether it opens anything now."""
        return self.revoked is None and (self.expires is None or time.time() < self.expires)


class Keyring:
    """The keys of a server. Another process may change them at any time: `sandbox keys` does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[bytes, Key]] = {}
        self._version, self._looked = -1, 0.0

    def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        scopes: Iterable[str] = DEFAULT_SCOPES,
        expires: float | None = None,
        quotas: Quotas = Quotas(),  # noqa: B008 - never changed
    ) -> tuple[Key, str]:
        """Make a key; return it with its text, which cannot be had again. Raises UsageError.

        `owner`: whose sandboxes it is for; a new one if left out. Keys of one owner see the same sandboxes.
        """
        number, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        text = f"sbx_{number}_{secret}"
        key = Key(
            number, _checked_name(name), _checked_owner(owner or secrets.token_hex(4)), time.time(), expires, None,
            _checked_scopes(scopes), _checked_quotas(quotas),
        )  # fmt: skip
        with self._database.writing():
            self._database.run(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                key.id, _digest(text), key.name, key.owner, key.created, key.expires, None, " ".join(key.scopes),
                msgspec.json.encode(key.quotas).decode(),
            )  # fmt: skip
        return key, text

    def all(self) -> list[Key]:
        """Every key, the oldest first, with those that open nothing any more."""
        return [_key(row) for row in self._database.all(_ALL)]

    def revoke(self, name: str) -> Key:
        """Revoke a key, by its id or its name if only one has it. Raises UsageError."""
        found = [key for key in self.all() if name in {key.id, key.name} and key.revoked is None]
        if len(found) != 1:
            what = "no key in force" if not found else f"{len(found)} keys, so name one by its id:"
            raise UsageError(f"{name!r} is {what} {', '.join(key.id for key in found)}".rstrip())
        with self._database.writing():
            self._database.run("UPDATE keys SET revoked = ? WHERE id = ?", time.time(), found[0].id)
        return found[0]

    def verify(self, text: str) -> Key | None:
        """The key that this is the text of, if it is in force. Takes as long for any text."""
        parts = text.split("_", 2)
        number = parts[1] if len(parts) == 3 else ""
        self._look(now=number not in self._known)  # it may have been made a moment ago
        digest, key = self._known.get(number, (_NOBODY, None))
        same = hmac.compare_digest(digest, _digest(text))
        return key if same and key is not None and key.valid else None

    def in_force(self, number: str) -> Key | None:
        """The key of this id, if it is in force."""
        self._look(now=False)
        _, key = self._known.get(number, (_NOBODY, None))
        return key if key is not None and key.valid else None

    def of_owner(self, owner: str) -> list[Key]:
        """An owner's keys that are in force."""
        self._look(now=False)
        return [key for _, key in self._known.values() if key.owner == owner and key.valid]

    def _look(self, *, now: bool) -> None:
        """Read the keys again where somebody has changed them."""
        at = time.monotonic()
        if at - self._looked < _LOOK_SECONDS and not now:
            return
        self._looked = at
        version = int(self._database.one("PRAGMA data_version")[0])
        if version != self._version:
            rows = self._database.all(_ALL)
            self._known = {row[0]: (row[1], _key(row)) for row in rows}
            self._version = version


def _digest(text: str) -> bytes:
    """Enough for what is 256 random bits: nobody can try them all, however fast."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _key(row: tuple[object, ...]) -> Key:
    number, _, name, owner, created, expires, revoked, scopes, quotas = row
    return msgspec.convert(
        {
            "id": number, "name": name, "owner": owner, "created": created, "expires": expires, "revoked": revoked,
            "scopes": str(scopes).split(), "quotas": msgspec.json.decode(str(quotas)),
        },
        Key,
    )  # fmt: skip


def _checked_name(name: str) -> str:
    if not name or len(name) > 100 or not name.isprintable():
        raise UsageError(f"{name[:100]!r} cannot be the name of a key: 1 to 100 characters that can be printed")
    return name


def _checked_owner(owner: str) -> str:
    if not _OWNER.fullmatch(owner) or owner == "local":
        raise UsageError(f"{owner[:100]!r} cannot be an owner: 1 to 32 of a-z, 0-9 and -, and not 'local'")
    return owner


def _checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(scopes))
    if not found or not SCOPES.keys() >= set(found):
        unknown = ", ".join(repr(one) for one in found if one not in SCOPES) or "nothing"
        raise UsageError(f"{unknown} is not a scope; there are: {', '.join(SCOPES)}")
    return found


def _checked_quotas(quotas: Quotas) -> Quotas:
    for name, value in msgspec.structs.asdict(quotas).items():
        if value is not None and not value > 0:
            raise UsageError(f"the quota {name}={value} leaves nothing: leave it out for no limit")
    return quotas
