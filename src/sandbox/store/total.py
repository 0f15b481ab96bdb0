"""What the environment says that all sessions together may take on the disk."""

from __future__ import annotations

import os

from sandbox.errors import UsageError

_MB = 1 << 20
_MOST_MB = 1 << 32


def total_wanted() -> int | None:
    """Bytes, from the MB of SANDBOX_STORAGE; None if that is not set. Raises UsageError if it is no number."""
    given = os.environ.get("SANDBOX_STORAGE", "")
    if not given:
        return None
    if not (given.isdecimal() and 0 < int(given) < _MOST_MB):
        raise UsageError(f"SANDBOX_STORAGE={given!r} is not a whole number of MB")
    return int(given) * _MB
