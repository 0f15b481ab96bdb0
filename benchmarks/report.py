"""RESULTS.md and results.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.cases import NAMES, SECTIONS
from benchmarks.figures import Figure, Summary, number, quantity, spread
from benchmarks.machine import Machine, Meanwhile

_INTRODUCTION = """\
# Figures

Each line is measured against a peer that does the same work, in the same run, on the same machine. Written by
`make bench`; the figures of each round are in [results.json](results.json).
Sandboxes store nothing in the first part (`persist=False`), except where a line says so; the second is about storing.

"""

_METHOD = """\
## How

* The sides take turns in rounds of a few seconds, another one first each time, so that a machine that is slow for a
  while is slow for all. A p50 is the median of the rounds' medians. A ratio is the median of each round's own ratio. A
  p99 is of all samples: what 99 of 100 are no worse than. No sample is left out. Each side is run before it is
  measured, so that files are in memory and caches are there.
* *Times better* says how many times less time or memory we take, or how many times more we make; *times the cost* how
  many times more the work takes than the bare thing that a sandbox is built on, which isolates nothing.
* Ours is used as anybody would: through the SDK with its default options, isolation included. Each benchmark has a
  process and an engine of its own.
* The peers are used in the way that takes them the least time: a new ipykernel is asked before it is ready rather than
  looked at until it is, and its reply counts, not its output; a bubblewrap's first line counts, not its end. Both find
  matplotlib's cache ready, and their libraries have as few threads as our workers'. bubblewrap sees the interpreter
  read-only and limits nothing; ipykernel isolates nothing.
* A new sandbox is measured from the making of the object to the result in hand. *Unpooled*: nothing was parked, the
  worker is forked and confined meanwhile. *From the pool*: two workers are parked, and the pool is full again before
  the next is measured.
* Memory is PSS, the proportional set size: a page shared by several processes counts in parts for each.
* What storing *adds* to an execution is the difference of two: the same code in two sandboxes, of which one is stored,
  one after the other, and another one first each time. So all of it is in: what the worker works out and sends, what
  the host writes, the disk's own time until it is durable, and what watching memory costs the code. Of dill and kishu
  only the saving counts, and not what it makes slower; dill does not wait for the disk. They have an environment of
  their own, with the same numpy and pandas.
* The ping-pong is 64 bytes over a socket pair and back. It takes 5 us where the kernel lets both processes share a core
  and 30 to 80 us where one must be woken on another. So it is measured in both ways: why is said in `cases/warm.py`.

## Again

```
make bench                             # everything, in less than ten minutes; the machine should be quiet
scripts/bench --quick                  # a look, less than a minute, with smaller amounts
scripts/bench warm stdout              # some of: {names}
```
"""


class Results(Struct, frozen=True):
    """A whole run."""

    machine: Machine
    meanwhile: Meanwhile
    isolation: str
    seconds: float
    quick: bool
    figures: dict[str, list[Figure]]

    @property
    def all(self) -> list[Figure]:
        return [figure for figures in self.figures.values() for figure in figures]

    @property
    def sections(self) -> dict[str, list[Figure]]:
        """The figures by the titles of the tables, of those that have any."""
        found = {
            title: [figure for name in names for figure in self.figures.get(name, ())]
            for title, names in SECTIONS.items()
        }
        return {title: figures for title, figures in found.items() if figures}


def write(results: Results, directory: Path) -> None:
    """Write both files."""
    tables = (_section(title, figures) for title, figures in results.sections.items())
    method = _METHOD.replace("{names}", " ".join(NAMES))
    parts = (_warnings(results), _verdict(results), *tables, _spread(results), _machine(results), method)
    (directory / "RESULTS.md").write_text(_INTRODUCTION + "".join(parts), encoding="utf-8")
    raw = msgspec.json.format(msgspec.json.encode(results), indent=2)
    (directory / "results.json").write_bytes(raw + b"\n")


def _warnings(results: Results) -> str:
    lines = [results.meanwhile.warning] if results.meanwhile.warning else []
    if results.quick:
        lines.append("this was a quick look, with few rounds and small amounts")
    return "".join(f"> **Beware**: {line}.\n\n" for line in lines)


def _verdict(results: Results) -> str:
    """How many goals are met, and those that are not."""
    judged = [(figure, goal) for figure in results.all for goal in figure.goals]
    missed = [(figure, goal) for figure, goal in judged if not goal.met(figure)]
    lines = [f"{len(judged) - len(missed)} of {len(judged)} goals are met{'; missed are:' if missed else '.'}"]
    for figure, goal in missed:
        value = ratio_text(figure) if goal.of == "ratio" else quantity(goal.value(figure) or 0.0, figure.ours.unit)
        against = f", against {figure.peer_name}" if goal.of == "ratio" else ""
        lines.append(f"* {figure.what}{against}: {value}, goal {goal.text(figure.ours.unit)}, {goal.verdict(figure)}")
    return lines[0] + "\n\n" + ("\n".join(lines[1:]) + "\n\n" if missed else "")


# --- the tables ---


def plot_of(title: str) -> str:
    """The name of the file with a section's plot."""
    return f"{title.lower().replace(' ', '-')}.png"


def _section(title: str, figures: list[Figure]) -> str:
    return f"## {title}\n\n![the ratios]({plot_of(title)})\n\n{_table(figures)}"


def _table(figures: list[Figure]) -> str:
    notes = list(dict.fromkeys(figure.note for figure in figures if figure.note))
    head = "| what | ours: p50 / p99 | peer | peer: p50 / p99 | ratio | goal | met |\n|---|---|---|---|---|---|---|\n"
    rows = "".join(_row(figure, notes) for figure in figures)
    numbered = "".join(f"{place}. {note}\n" for place, note in enumerate(notes, 1))
    return f"{head}{rows}\n{numbered}\n" if notes else f"{head}{rows}\n"


def _row(figure: Figure, notes: list[str]) -> str:
    mark = f" <sup>{notes.index(figure.note) + 1}</sup>" if figure.note else ""
    goals = "; ".join(goal.text(figure.ours.unit) for goal in figure.goals) or "—"
    met = "; ".join(_bold(goal.verdict(figure)) for goal in figure.goals) or "—"
    peer = f"{figure.peer_name} | {figure.peer}" if figure.peer else "— | —"
    return f"| {figure.what}{mark} | {figure.ours} | {peer} | {ratio_text(figure)} | {goals} | {met} |\n"


def _bold(verdict: str) -> str:
    return verdict if verdict == "met" else f"**{verdict}**"


def ratio_text(figure: Figure) -> str:
    """Say the ratio and what it means."""
    if figure.ratio is None:
        return "—"
    return f"{number(figure.ratio)}x {'better' if figure.better else 'the cost'}"


def _spread(results: Results) -> str:
    """From the lowest to the highest round, of what has several."""
    head = (
        "## From round to round\n\nThe lowest and the highest of the rounds' medians and ratios.\n\n"
        "| what | rounds | samples of each side | ours | peer | ratio |\n|---|---|---|---|---|---|\n"
    )
    rows = list(_spread_rows(results))
    return head + "".join(rows) + "\n" if rows else ""


def _spread_rows(results: Results) -> Iterator[str]:
    for figure in results.all:
        ours, peer = figure.ours, figure.peer
        if len(ours.medians) > 1:
            samples = f"{ours.count:,}" if peer is None else f"{ours.count:,}; {peer.count:,}"
            theirs = f"{figure.peer_name}: {_range(peer)}" if peer else "—"
            ratio = spread(figure.ratios, "x").replace(" x", "x") if figure.ratios else "—"
            yield f"| {figure.what} | {len(ours.medians)} | {samples} | {_range(ours)} | {theirs} | {ratio} |\n"


def _range(summary: Summary) -> str:
    return spread(summary.medians, summary.unit)


def _machine(results: Results) -> str:
    machine, meanwhile = results.machine, results.meanwhile
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return (
        f"## Where\n\n{machine.date}; a {'virtual ' if machine.virtual else ''}machine with {machine.cores} cores "
        f"({machine.cpu}) and {quantity(machine.memory, 'bytes')}; Linux {machine.kernel}; Python {machine.python}; "
        f"as {machine.user}; isolation {results.isolation}.\nThe run took {results.seconds:.0f} s. Other processes "
        f"took {meanwhile.others:.1%} of the machine's time in the pauses between the benchmarks, and the hypervisor "
        f"{meanwhile.stolen:.1%} of it all along.\n\n"
        f"{packages}.\n\n"
    )
