"""One benchmark in a process of its own: `python -m benchmarks.one NAME SETTINGS` prints its figures as JSON."""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from benchmarks.cases import measure_of
from benchmarks.figures import Figure
from benchmarks.settings import Settings


def main(name: str, settings: str) -> None:
    """Whatever else is printed meanwhile goes to standard error."""
    answer = os.dup(1)
    os.dup2(2, 1)
    figures: list[Figure] = asyncio.run(measure_of(name)(msgspec.json.decode(settings, type=Settings)))
    os.write(answer, msgspec.json.encode(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
