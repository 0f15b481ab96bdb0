"""How much to measure."""

from __future__ import annotations

from msgspec import Struct


class Settings(Struct, frozen=True):
    """`quick` for a look that takes less than a minute. `rounds` overrides how often sides take turns."""

    quick: bool = False
    rounds: int | None = None
    peers: bool = True

    @property
    def pause(self) -> float:
        """Seconds between benchmarks."""
        return 0.1 if self.quick else 1.0

    def times(self, full: int, quick: int = 2) -> int:
        """How many rounds."""
        return self.rounds or self.size(full, quick)

    def size(self, full: int, quick: int) -> int:
        """How much of something that is no repetition, or how often within a round."""
        return quick if self.quick else full
