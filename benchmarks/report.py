"""RESULTS.md and results.json."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.figures import Figure, quantity
from benchmarks.machine import Machine

_INTRODUCTION = """\
# Figures

Each line is measured against a peer that does the same work, in the same run, on the same machine. Written by
`make bench`; the raw figures are in [results.json](results.json).

![the ratios](results.png)

"""

_METHOD = """\
## How

* Values are medians, with the 10th and 90th percentile and the number of samples. A ratio is the median of the ratios
  of each round: the sides take turns within seconds, another one first each time, so that a machine that is slow for a
  while is slow for all. Each side is run before it is measured, so that files are in memory and caches are there.
* *Times better* says how many times less time or memory we take, or how many times more we make; *times the cost* how
  many times more the work takes than the bare thing that a sandbox is built on, which isolates nothing.
* Ours is used as anybody would: through the SDK with its default options, isolation included. Each benchmark has a
  process and an engine of its own.
* The peers are used in the way that takes them the least time: a new ipykernel is asked before it is ready rather than
  looked at until it is, and its reply counts, not its output; a bubblewrap's first line counts, not its end. Both find
  matplotlib's cache ready, and their libraries have as few threads as our workers'. bubblewrap sees the interpreter
  read-only; ipykernel isolates nothing.
* A new sandbox is measured from the making of the object to the result in hand. *Unpooled*: nothing was parked, the
  worker is forked and confined meanwhile. *From the pool*: two workers are parked, and the pool is full again before
  the next is measured.
* Memory is PSS, the proportional set size: a page shared by several processes counts in parts for each.
* The ping-pong is 64 bytes over a socket pair and back. It takes 5 us where the kernel lets both processes share a core
  and 50 to 80 us where one must be woken on another; so nobody is pinned for the one figure, and both sides are pinned
  alike for the other, *across cores*, which has the goal: why is said in `cases/warm.py`.

## Again

```
make bench                             # everything, less than six minutes; the machine should be quiet
scripts/bench --quick                  # a look, less than a minute, with smaller amounts
scripts/bench warm stdout              # some of: first_result cold warm memory many stdout commands files
```
"""


class Results(Struct, frozen=True):
    """A whole run."""

    machine: Machine
    isolation: str
    seconds: float
    quick: bool
    figures: dict[str, list[Figure]]


def write(results: Results, directory: Path) -> None:
    """Write both files."""
    text = _INTRODUCTION + _warnings(results) + _table(results) + _machine(results) + _METHOD
    (directory / "RESULTS.md").write_text(text, encoding="utf-8")
    raw = msgspec.json.format(msgspec.json.encode(results), indent=2)
    (directory / "results.json").write_bytes(raw + b"\n")


def _warnings(results: Results) -> str:
    lines = [results.machine.warning] if results.machine.warning else []
    if results.quick:
        lines.append("this was a quick look, with few rounds and small amounts")
    return "".join(f"> **Beware**: {line}.\n\n" for line in lines)


def _table(results: Results) -> str:
    rows = [_row(figure) for figures in results.figures.values() for figure in figures]
    head = "| figure | ours | peer | ratio | goal | met |\n|---|---|---|---|---|---|\n"
    notes = [figure.note for figures in results.figures.values() for figure in figures if figure.note]
    numbered = "".join(f"{number}. {note}\n" for number, note in enumerate(dict.fromkeys(notes), 1))
    table = head + "\n".join(rows) + "\n\n"
    for number, note in enumerate(dict.fromkeys(notes), 1):
        table = table.replace(f"\0{note}\0", f" <sup>{number}</sup>")
    return table + (numbered + "\n" if numbered else "")


def _row(figure: Figure) -> str:
    note = f"\0{figure.note}\0" if figure.note else ""
    peer = "—" if figure.peer is None else f"{figure.peer_name}: {figure.peer}"
    goals = "; ".join(goal.text(figure.ours.unit) for goal in figure.goals) or "—"
    met = {True: "yes", False: "**no**", None: "—"}[figure.met]
    return f"| {figure.what}{note} | {figure.ours} | {peer} | {ratio_text(figure)} | {goals} | {met} |"


def ratio_text(figure: Figure) -> str:
    """Say the ratio and what it means."""
    if figure.ratio is None:
        return "—"
    number = f"{figure.ratio:,.0f}" if figure.ratio >= 100 else f"{figure.ratio:.3g}"
    return f"{number}x {'better' if figure.better else 'the cost'}"


def _machine(results: Results) -> str:
    machine = results.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return (
        "## Where\n\n"
        f"{machine.date}; {machine.cpu}, {machine.cores} cores, {quantity(machine.memory, 'bytes')}; "
        f"Linux {machine.kernel}; Python {machine.python}; as {machine.user}; load average {machine.load:.2f} at the "
        f"beginning; isolation {results.isolation}; the run took {results.seconds:.0f} s.\n\n{packages}.\n\n"
    )
