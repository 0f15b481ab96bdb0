"""The index of a checkpoint: every name with its group, its type and a short text, as JSON that the host can show.

It is written in shards, so that a session with thousands of names does not write them all for one of them.
"""

from collections.abc import Iterable
from json import JSONDecodeError, dumps, loads
from json.encoder import encode_basestring_ascii as quoted
from sys import version_info
from typing import Any

FORMAT = 1
PYTHON = f"{version_info[0]}.{version_info[1]}"
_FULL = 128


class DamagedIndex(ValueError):
    """A checkpoint's index is not one: nothing of it can be restored."""


class _Shard:
    """Some names and groups, each as finished JSON text."""

    __slots__ = ("groups", "names")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.groups: dict[int, str] = {}

    def text(self, number: int, count: int) -> bytes:
        head = f'{{"format":{FORMAT},"python":"{PYTHON}",'
        if number == 0:
            head += f'"shards":{count},'
        names = ",".join([f"{quoted(name)}:{one}" for name, one in self.names.items()])
        groups = ",".join([f'"{group}":{one}' for group, one in self.groups.items()])
        return f'{head}"names":{{{names}}},"groups":{{{groups}}}}}'.encode("ascii")


class Index:
    """What the last checkpoint says, and which shards of it have to be written anew."""

    def __init__(self) -> None:
        self._shards = [_Shard()]
        self._of_name: dict[str, int] = {}
        self._of_group: dict[int, int] = {}
        self._changed: set[int] = {0}
        self._written = 0

    def __contains__(self, name: str) -> bool:
        return name in self._of_name

    def set_name(self, name: str, entry: dict[str, Any]) -> None:
        text = dumps(entry, separators=(",", ":"))
        shard = self._of_name.get(name)
        if shard is None:
            shard = self._of_name[name] = self._room(len(self._shards[-1].names))
        if self._shards[shard].names.get(name) != text:
            self._shards[shard].names[name] = text
            self._changed.add(shard)

    def reserve(self, names: Iterable[str]) -> None:
        """These are new: let them have this order."""
        for name in names:
            shard = self._of_name[name] = self._room(len(self._shards[-1].names))
            self._shards[shard].names[name] = "{}"

    def drop_name(self, name: str) -> None:
        shard = self._of_name.pop(name, None)
        if shard is not None:
            del self._shards[shard].names[name]
            self._changed.add(shard)

    def set_group(self, number: int, entry: dict[str, Any]) -> None:
        text = dumps(entry, separators=(",", ":"))
        shard = self._of_group.get(number)
        if shard is None:
            shard = self._of_group[number] = self._room(len(self._shards[-1].groups))
        if self._shards[shard].groups.get(number) != text:
            self._shards[shard].groups[number] = text
            self._changed.add(shard)

    def drop_group(self, number: int) -> None:
        shard = self._of_group.pop(number)
        del self._shards[shard].groups[number]
        self._changed.add(shard)

    def _room(self, taken: int) -> int:
        if taken >= _FULL:
            self._shards.append(_Shard())
            self._changed.add(0)  # which says how many there are
        return len(self._shards) - 1

    def records(self) -> "list[tuple[dict[str, Any], list[Any]]]":
        """What to write of it."""
        found = []
        for number in sorted(self._changed):
            text = self._shards[number].text(number, len(self._shards))
            found.append(({"put": key(number), "size": len(text)}, [text]))
        self._changed.clear()
        return found

    def distrust(self) -> None:
        """Write all of it next time."""
        self._changed.update(range(len(self._shards)))


_DAMAGED = {"type": "value", "since": 0, "lost": "its entry in the checkpoint's index is damaged"}


def key(number: int) -> str:
    return f"index/{number}" if number else "index"


class Stored:
    """An index that was read: `names` and `groups` with their entries. Raises DamagedIndex."""

    def __init__(self, parts: Any) -> None:
        self.names: dict[str, dict[str, Any]] = {}
        self.groups: dict[int, dict[str, Any]] = {}
        if "index" not in parts:
            return
        root = _shard(parts, 0)
        self._take(root)
        for number in range(1, root.get("shards", 1)):
            self._take(_shard(parts, number))

    def _take(self, shard: dict[str, Any]) -> None:
        try:
            names, groups = shard["names"].items(), shard["groups"].items()
            self.names.update((name, entry if isinstance(entry, dict) else _DAMAGED) for name, entry in names)
            self.groups.update((int(number), entry) for number, entry in groups if isinstance(entry, dict))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DamagedIndex(f"the checkpoint's index is damaged: {error!r}") from error


def _shard(parts: Any, number: int) -> dict[str, Any]:
    try:
        found = loads(bytes(parts[key(number)]))
    except (KeyError, JSONDecodeError, UnicodeDecodeError) as error:
        raise DamagedIndex(f"the checkpoint's index is damaged: {error!r}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DamagedIndex("the checkpoint's index is of a format that is not known here")
    return found
