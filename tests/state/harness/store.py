"""A store in memory: validates a delta as strictly as the host has to, and keeps every checkpoint's manifest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

PAGE = 4096
LARGE = 64 * 1024
MOST_KEY_BYTES = 200


class BadDelta(Exception):
    """A record that a store has to refuse."""


class Extent(NamedTuple):
    """A run of bytes of a part, where it lies in the pack file."""

    offset: int
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Part:
    """A stored part: its bytes if it is small, else extents of the pack; a later extent lies over an earlier one."""

    size: int
    small: bytes | None
    extents: tuple[Extent, ...] = ()


Manifest = Mapping[str, Part]


class Pack:
    """A file to which large parts are appended, each beginning at a page."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="pack-")  # noqa: SIM115 - it lives as long as the store
        self._end = 0

    @property
    def fd(self) -> int:
        return self._file.fileno()

    def append(self, data: memoryview) -> int:
        at = self._end
        os.pwrite(self.fd, data, at)
        self._end = (at + len(data) + PAGE - 1) // PAGE * PAGE
        os.ftruncate(self.fd, self._end)
        return at

    def close(self) -> None:
        self._file.close()


class Store:
    """Checkpoints by number. Number 0 is the empty manifest."""

    def __init__(self) -> None:
        self.pack = Pack()
        self.manifests: list[Manifest] = [{}]
        self.stored = 0

    def close(self) -> None:
        self.pack.close()

    def commit(self, parent: int, records: Sequence[object], payload: bytes) -> int:
        """Add the checkpoint that a delta makes of its parent's; return its number. All of it is valid, or none."""
        manifest = dict(self.manifests[parent])
        rest = memoryview(payload)
        for record in records:
            rest = rest[self._apply(manifest, record, rest) :]
        if len(rest):
            raise BadDelta(f"{len(rest)} bytes belong to no record")
        self.manifests.append(manifest)
        return len(self.manifests) - 1

    def read(self, part: Part) -> bytes:
        """All bytes of a part."""
        if part.small is not None:
            return part.small
        data = bytearray(part.size)
        for offset, at, length in part.extents:
            data[offset : offset + length] = os.pread(self.pack.fd, length, at)
        return bytes(data)

    def _apply(self, manifest: dict[str, Part], record: object, payload: memoryview) -> int:
        """Apply one record; return how many bytes of the payload are its own."""
        match record:
            case {"put": key, "size": size, **rest} if not rest:
                _check(manifest, key, size, payload)
                manifest[key] = self._part(payload[:size])
                self.stored += size
                return int(size)
            case {"patch": key, "size": size, "ranges": ranges, **rest} if not rest:
                used = _check_patch(manifest, key, size, ranges, payload)
                manifest[key] = self._patched(manifest[key], ranges, payload)
                self.stored += used
                return used
            case {"drop": key, **rest} if not rest:
                if manifest.pop(_key(key), None) is None:
                    raise BadDelta(f"drops {key!r}, which the parent has not")
                return 0
        raise BadDelta(f"not a record: {record!r}"[:300])

    def _part(self, data: memoryview) -> Part:
        if len(data) < LARGE:
            return Part(len(data), bytes(data))
        return Part(len(data), None, (Extent(0, self.pack.append(data), len(data)),))

    def _patched(self, part: Part, ranges: Sequence[tuple[int, int]], payload: memoryview) -> Part:
        whole = bytearray(part.small) if part.small is not None else None
        extents = list(part.extents)
        for offset, length in ranges:
            if whole is not None:
                whole[offset : offset + length] = payload[:length]
            else:
                extents.append(Extent(offset, self.pack.append(payload[:length]), length))
            payload = payload[length:]
        return Part(part.size, None if whole is None else bytes(whole), tuple(extents))


def _key(key: object) -> str:
    if not isinstance(key, str) or not 0 < len(key.encode("utf-8", "surrogatepass")) <= MOST_KEY_BYTES:
        raise BadDelta(f"not a key of 1 to {MOST_KEY_BYTES} bytes: {key!r}"[:300])
    if key not in {"index", "cells"} and not key.startswith(("group/", "buffer/", "ambient/", "cells/")):
        raise BadDelta(f"not a key that a worker may use: {key!r}")
    return key


def _number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadDelta(f"{what} is not a size: {value!r}"[:300])
    return value


def _check(manifest: Mapping[str, Part], key: object, size: object, payload: memoryview) -> None:
    _key(key)
    if _number(size, "size") > len(payload):
        raise BadDelta(f"{key!r} announces {size} bytes and {len(payload)} are there")


def _check_patch(manifest: Mapping[str, Part], key: object, size: object, ranges: Any, payload: memoryview) -> int:
    part = manifest.get(_key(key))
    if part is None or part.size != _number(size, "size"):
        raise BadDelta(f"patches {key!r}, of which the parent has no {size} bytes")
    if not isinstance(ranges, list):
        raise BadDelta(f"ranges are no list: {ranges!r}"[:300])
    end = used = 0
    for one in ranges:
        if not isinstance(one, list) or len(one) != 2:
            raise BadDelta(f"not a range: {one!r}"[:300])
        offset, length = (_number(value, "range") for value in one)
        if offset < end or not length or offset + length > part.size or offset % PAGE:
            raise BadDelta(f"the range {one} does not fit after {end} into {part.size} bytes of whole pages")
        end, used = offset + length, used + length
    if used > len(payload):
        raise BadDelta(f"{key!r} announces {used} bytes and {len(payload)} are there")
    return used
