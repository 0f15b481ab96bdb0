"""What the demo shows: output as it comes, a progress line on a terminal, times, and tables that fit any width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sandbox import Artifact, Execution, SandboxExecutionError, SandboxTimeoutError

_INDENT = (0, 0, 0, 4)


def plain(text: str) -> str:
    """Text from a sandbox, fit for a terminal: control characters would let it move the cursor or hide things."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def duration(seconds: float) -> str:
    """Seconds, as people read them."""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


class Screen:
    """Standard output. Without a terminal: the same lines, no colours and no progress line."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._partial = ""

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.console.print()
        self.console.rule(Text(text, style="bold"), align="left")

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Print names with their values, wrapped beside the names."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in facts:
            table.add_row(name, Text(value))
        self.console.print(table)

    def line(self, text: str, style: str = "") -> None:
        """Print a line of ours."""
        self.console.print(Text(text), style=style)

    @contextmanager
    def progress(self, total: int) -> Iterator[Progress]:
        """Show a progress line below everything else while the block runs."""
        columns = (
            TextColumn("[bold]{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
        )  # fmt: skip
        shown = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not shown) as progress:
            progress.add_task("executions", total=total)
            yield progress

    # --- one execution ---

    def begin(self, number: int, total: int, title: str) -> None:
        """Print what is going to run."""
        self.console.print(Text.assemble((f"[{number}/{total}] ", "bold cyan"), (title, "bold")))

    def output(self, text: str) -> None:
        """Print what the code prints, as it comes, line by line."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._indented(Text(plain(line)))

    def end(self, execution: Execution, paths: Iterable[Path] = ()) -> None:
        """Print the value, the time, what an agent can read of the figures, and where the artifacts are."""
        if self._partial:
            self.output("\n")
        if execution.text is not None:
            self._indented(Text(plain(execution.text), style="magenta", no_wrap=True, overflow="ellipsis"))
        for result in execution.results:
            if result.chart is not None:
                self._indented(Text(f"a chart: {describe(result.chart)}", style="magenta"))
        made = f" -> {', '.join(map(str, paths))}" if paths else ""
        self._indented(Text(f"{duration(execution.execution_time)}{made}", style="green"))

    def attempt(self, title: str, execution: Execution) -> None:
        """Print what code got, or how it was refused: the typed cause, and what to change to permit it."""
        self.line(title, "bold")
        raised = execution.exception
        self._indented(Text(plain(str(raised)) if raised else f"it sees {plain(execution.text or 'nothing')}"))
        if execution.cause is not None:
            self._indented(Text(f"cause: {execution.cause}; {execution.cause.remedy}", style="yellow"))

    def failed(self, error: SandboxTimeoutError | SandboxExecutionError) -> None:
        """Print which exception the call raised, why, and what became of the variables."""
        cause, state = error.execution.cause, error.execution.state
        why = error.message if cause is None else cause.message
        became = str(state) if state.restored_to is None else f"{state}: those of execution {state.restored_to}"
        self._indented(Text(f"{type(error).__name__}: {plain(why)}; the variables are {became}", style="yellow"))

    def _indented(self, text: Text) -> None:
        self.console.print(Padding(text, _INDENT, expand=False))

    # --- the end ---

    def artifacts(self, kept: Iterable[tuple[Path, Artifact]]) -> None:
        """Print where the copies are."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name, justify in (("file", "left"), ("type", "left"), ("size", "right")):
            table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for path, artifact in kept:
            size = f"{artifact.size / 1000:,.0f} kB"
            table.add_row(Text(str(path), style="bold"), Text(artifact.mime), size)
        self.console.print(table)


def describe(chart: dict[str, Any]) -> str:
    """A chart's data in a few words: an agent can read a plot without looking at it."""
    parts = chart["charts"] if "charts" in chart else chart["series"]
    what = "charts" if "charts" in chart else "series"
    return f"{plain(str(chart['title']))}, {chart['type']} of {len(parts)} {what}"
