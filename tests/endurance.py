"""How long those tests go on that could go on for ever: briefly in the suite, and for long with `make soak`."""

from __future__ import annotations

import os

SOAK = int(os.environ.get("SANDBOX_SOAK", "1"))
"""How many times as much as in a run of the suite."""
SECONDS = 300 * SOAK
"""The time limit of such a test: what it takes on a slow machine that is busy, times some."""
