"""Named steps of everything that writes, so that a test can end the process at each of them."""

from __future__ import annotations

from collections.abc import Callable

STEPS = (
    "pack made",
    "pack record begun",
    "pack record written",
    "pack synced",
    "commit begun",
    "commit written",
    "commit done",
    "amendment written",
    "rollback written",
    "fork written",
    "drop written",
    "delete written",
    "gc records dropped",
    "gc pack copied",
    "gc pack switched",
    "gc pack removed",
    "gc orphan removed",
    "consolidated",
    "import staged",
    "import written",
)

hook: Callable[[str], None] | None = None
"""Called with the name of each step as it is reached. None but in tests of faults."""


def reached(step: str) -> None:
    """Note that a step was reached."""
    if hook is not None:
        hook(step)
