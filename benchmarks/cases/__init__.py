"""The benchmarks, each a module with `measure(settings) -> figures`. A run has a process of its own for each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.figures import Figure
from benchmarks.settings import Settings

# In the order of the tables.
SECTIONS = {
    "Running code": (
        "first_result", "cold", "warm", "memory", "many", "stdout", "commands", "files", "mcp", "animation", "node",
    ),
    "A server": ("remote", "clients", "transfer", "parked"),
    "State": ("saving", "arrays", "analysis", "restoring", "forking"),
}  # fmt: skip
NAMES = tuple(name for names in SECTIONS.values() for name in names)
# Only where they are named: they take minutes.
LONG = frozenset({"clients", "transfer", "parked"})

Case = Callable[[Settings], Coroutine[Any, Any, list[Figure]]]


def measure_of(name: str) -> Case:
    """Return what a benchmark measures with."""
    measure: Case = importlib.import_module(f"benchmarks.cases.{name}").measure
    return measure
