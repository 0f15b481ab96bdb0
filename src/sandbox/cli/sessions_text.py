"""Tables, ages and sizes for people: plain text, cut to the width of a terminal and whole everywhere else."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from sandbox.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "
_LEAST = 8
_YEAR = 365.25 * 86400
_AGES = ((60.0, 1.0, "s"), (3600.0, 60.0, "min"), (86400.0, 3600.0, "h"), (60 * 86400.0, 86400.0, "d"))


class Column(NamedTuple):
    """A column's head. A `flexible` one gives way where the terminal is too narrow."""

    head: str
    right: bool = False
    flexible: bool = False


def show(text: str) -> None:
    """Print on standard output, with a line end."""
    terminal.write(terminal.OUT, f"{text}\n")


def show_json(value: object) -> None:
    """Print one line of JSON in ASCII, so that nothing in it can steer a terminal."""
    import json  # noqa: PLC0415

    show(json.dumps(value))


def columns() -> int | None:
    """How wide a line may be; None where nobody reads it on a terminal."""
    if not os.isatty(terminal.OUT):
        return None
    from sandbox.cli.flags import columns as of_terminal  # noqa: PLC0415

    return of_terminal()


def table(heads: Sequence[Column], rows: Sequence[Sequence[str]], *, indent: str = "", most: int | None = None) -> str:
    """Lay out cells, which are plain text already, in at most `most` columns if that can be."""
    lines = [[column.head for column in heads], *rows]
    widths = [max(_width(line[place]) for line in lines) for place in range(len(heads))]
    if most is not None:
        _narrow(widths, heads, most - len(indent) - len(_GAP) * (len(heads) - 1))
    return "\n".join(indent + _laid_out(line, heads, widths) for line in lines)


def _narrow(widths: list[int], heads: Sequence[Column], most: int) -> None:
    """Take what is too much from the widest of the flexible columns."""
    flexible = [place for place, column in enumerate(heads) if column.flexible]
    for place in flexible:
        widths[place] = min(widths[place], max(most, _LEAST))
    while sum(widths) > most:
        widest = max(flexible, key=lambda place: widths[place])
        if widths[widest] <= _LEAST:
            return
        widths[widest] -= 1


def _laid_out(line: Sequence[str], heads: Sequence[Column], widths: Sequence[int]) -> str:
    cells = []
    for text, column, width in zip(line, heads, widths, strict=True):
        cell = cut(text, width)
        space = " " * (width - _width(cell))
        cells.append(space + cell if column.right else cell + space)
    return _GAP.join(cells).rstrip()


def wrapped(text: str, most: int | None, *, indent: str) -> str:
    """Indent a text, and break it where it is too long, with the lines after the first further in."""
    if most is None or len(indent) + _width(text) <= most:
        return indent + text
    import textwrap  # noqa: PLC0415 - little is that long

    return textwrap.fill(text, most, initial_indent=indent, subsequent_indent=indent * 2)


def cut(text: str, most: int | None) -> str:
    """Shorten a text to what fits, if it does not."""
    if most is None or _width(text) <= most:
        return text
    while text and _width(text) >= most:
        text = text[: min(len(text) - 1, most)]
    return f"{text}…"


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def first_line(code: str) -> str:
    """The first line of code that says something, marked if there is more."""
    lines = [line.strip() for line in code.splitlines() if line.strip()]
    if not lines:
        return ""
    return terminal.plain(lines[0]) + (" …" if len(lines) > 1 else "")


def age(seconds: float) -> str:
    """How long ago, in one unit."""
    for below, unit, name in _AGES:
        if seconds < below:
            return f"{int(max(seconds, 0) / unit)} {name}"
    if seconds < _YEAR:
        return f"{int(seconds / (30 * 86400))} mon"
    return f"{seconds / _YEAR:.1f} y" if seconds < 1000 * _YEAR else "?"  # an archive may say what it likes


def duration(seconds: float) -> str:
    """How long something took."""
    if seconds < 1:
        return f"{max(seconds * 1000, 0):.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < _YEAR else "?"


def size(count: int) -> str:
    """Bytes, as a number with a unit."""
    if count < 1000:
        return f"{count} B"
    value, units = count / 1000, iter(("kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 999.95 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}"


def number(count: int, one: str) -> str:
    """A count with its noun."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
