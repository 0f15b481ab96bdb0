"""User ids for workers where the host is root: one for each workspace, none of them anybody's."""

from __future__ import annotations

import os

# Above what systemd and containers use (systemd.io/UIDS-GIDS): 0x70000000 to 0x7000FFFF.
_FIRST, _COUNT = 0x70000000, 0x10000


def own_ids() -> tuple[int, int] | None:
    """Return the first and the count of the ids that workers may have, or None where the host is not root.

    In a container whose root owns only part of the ids, the last ones of that part serve.
    """
    if os.geteuid() != 0:
        return None
    with open("/proc/self/uid_map", encoding="ascii") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    if any(inside <= _FIRST and inside + count >= _FIRST + _COUNT for inside, _, count in ranges):
        return _FIRST, _COUNT
    inside, _, count = max(ranges, key=lambda row: row[2])
    take = min(_COUNT, count // 2)
    return (inside + count - take, take) if take >= 2 else None


class Ids:
    """Hands out ids, counted from the start of the range; 0 is the zygote's own."""

    def __init__(self, ids: tuple[int, int] | None) -> None:
        self.range = ids
        self._used: set[int] = set()

    def take(self) -> int:
        """Return a free id, or 0 where everybody is the same ordinary user."""
        if self.range is None:
            return 0
        while (number := 1 + int.from_bytes(os.urandom(8), "big") % (self.range[1] - 1)) in self._used:
            pass
        self._used.add(number)
        return number

    def give_back(self, number: int) -> None:
        self._used.discard(number)

    def owns(self, uid: int) -> bool:
        """Whether a uid of the host is one of those that are handed out."""
        return self.range is not None and self.range[0] < uid < self.range[0] + self.range[1]

    def give(self, pipes: tuple[int, ...], number: int) -> None:
        """Make a workspace's id the owner of pipes: opening /dev/stdout asks for the right to the pipe behind it."""
        owner = self.on_host(number)
        if owner is not None:
            for pipe in pipes:
                os.fchown(pipe, owner, -1)

    def on_host(self, number: int) -> int | None:
        """The uid on the host, or None where it is the engine's own."""
        return self.range[0] + number if self.range and number else None
