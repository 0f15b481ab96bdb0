"""`sandbox doctor --attack`: attacks sandboxes on this machine, harmlessly, and shows what stopped each attack."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sandbox.attack.probe import OPEN, STOPPED, THROUGH, UNTRIED
from sandbox.attack.run import Report, attack
from sandbox.cli import terminal

if TYPE_CHECKING:
    from sandbox.attack.probe import Finding

_TOLD = {THROUGH: "NOT STOPPED", OPEN: "not covered", UNTRIED: "not tried"}
HOLDS, SOMETHING_GOT_THROUGH, INTERRUPTED = 0, 1, 130
_STYLES = {STOPPED: "green", THROUGH: "bold red", OPEN: "yellow", UNTRIED: "dim"}
_GOAL, _LAYER, _ANSWER = 38, 24, 13


def main(isolation: str, *, as_json: bool) -> int:
    """Attack, print and return the exit code. Raises SandboxStartError where no sandbox can be started."""
    # An exception, so that the bait is taken away whoever interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _attack(isolation, as_json=as_json)
    except KeyboardInterrupt:
        return INTERRUPTED


def _attack(isolation: str, *, as_json: bool) -> int:
    if as_json:
        report = attack(isolation)
        terminal.write(terminal.OUT, json.dumps(_as_json(report)) + "\n")
    else:
        report = attack(isolation, _show)
        terminal.write(terminal.OUT, f"\n{verdict(report)}\n")
    return exit_code(report)


def exit_code(report: Report) -> int:
    """0 if everything was stopped that must be."""
    return HOLDS if report.holds else SOMETHING_GOT_THROUGH


def verdict(report: Report) -> str:
    """The result in a few lines."""
    tried = len(report.findings) - report.count(UNTRIED)
    lines = [
        f"Level {report.isolation}: {report.count(STOPPED)} of {tried} attacks were stopped, in {report.seconds:.0f} s."
    ]
    if report.count(UNTRIED):
        goals = "; ".join(finding.goal for finding in report.findings if finding.outcome == UNTRIED)
        lines.append(f"Not tried, for want of something here to try it on: {goals}.")
    if report.count(OPEN):
        goals = "; ".join(finding.goal for finding in report.findings if finding.outcome == OPEN)
        lines.append(f"This level does not keep code from this, and does not claim to: {goals}.")
    if not report.holds:
        lines.append("NOT STOPPED, though it should have been. Please report it: see SECURITY.md.")
        lines += [f"  {f.name}: {f.goal}: {f.answer}" for f in report.findings if f.outcome == THROUGH]
        lines += [f"  {harm}" for harm in report.harm]
    return "\n".join(lines)


def _show(family: str, findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - rich takes 100 ms, and --json does without
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 1), title_justify="left", title_style="bold")
    table.title = f"\n{family}"
    table.add_column("code tries to", width=_GOAL, header_style="dim")
    table.add_column("stopped by", width=_LAYER, header_style="dim")
    table.add_column("answer", width=_ANSWER, overflow="ellipsis", no_wrap=True, header_style="dim")
    for finding in findings:
        style = _STYLES[finding.outcome]
        told = finding.layer or _TOLD[finding.outcome]
        table.add_row(finding.goal, Text(told, style), terminal.plain(finding.answer))
    Console(highlight=False).print(table)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "exit_code": exit_code(report),
        "isolation": report.isolation,
        "enforced": report.enforced,
        "seconds": round(report.seconds, 3),
        "harm": report.harm,
        "attacks": [asdict(finding) for finding in report.findings],
    }
