"""The doctor's tables, readable at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sandbox.cli.doctor import exit_code, remedies
from sandbox.engine.isolation import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.engine.doctor import Diagnosis, Fact, Level

_YES, _NO, _NOT_PART = Text("yes", "green"), Text("no", "bold red"), Text("-", "dim")
_STYLES = ("bold green", "bold yellow", "bold red")


def show(found: Diagnosis, verdict: str) -> None:
    """Print everything that was found."""
    console = Console(highlight=False)
    console.print(_layers(found))
    for level in found.levels:
        if not level.works:
            console.print(Padding(Text.assemble((f"{level.name}: ", "bold"), level.error), (1, 0, 0, 1)))
    for table in _below(found):
        console.print("", table, sep="\n")
    console.print("", Text(verdict, _STYLES[exit_code(found)]), sep="\n")


def _below(found: Diagnosis) -> Iterator[Table]:
    yield _facts("Limits, and what holds them", found.limits)
    yield _facts("This machine", found.machine)
    to_do = remedies(found)
    if to_do:
        yield _remedies(to_do)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=True, padding=(0, 1))


def _layers(found: Diagnosis) -> Table:
    table = _table("Isolation: a sandbox was started at each level (-: not part of it)")
    table.add_column("layer", no_wrap=True, header_style="dim")
    for level in found.levels:
        table.add_column(level.name, no_wrap=True, header_style="dim")
    table.add_column("keeps code from", header_style="dim")
    table.add_row("starts", *(_starts(level) for level in found.levels), "")
    for name, levels, purpose in LAYERS:
        table.add_row(name, *(_state(level, name, levels) for level in found.levels), purpose)
    return table


def _starts(level: Level) -> Text:
    return Text(f"{level.seconds * 1000:.0f} ms", "green") if level.works else _NO


def _state(level: Level, layer: str, levels: tuple[str, ...]) -> Text:
    if level.name not in levels:
        return _NOT_PART
    return _NO if layer in level.missing else _YES


def _facts(title: str, facts: Iterable[Fact]) -> Table:
    table = _table(title)
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for fact in facts:
        style = {True: "green", False: "bold red", None: ""}[fact.good]
        table.add_row(fact.name, Text(fact.value, style))
    return table


def _remedies(to_do: list[tuple[str, str]]) -> Table:
    table = _table("What to do")
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, remedy in to_do:
        table.add_row(name, Text(remedy))
    return table
