"""Runs probes and says what stopped each."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.attack import bait
from sandbox.attack.probe import (
    NOTHING,
    OPEN,
    STOPPED,
    THROUGH,
    UNTRIED,
    AnyProbe,
    Finding,
    Flood,
    Probe,
    Trick,
)
from sandbox.attack.probes import FAMILIES
from sandbox.attack.scene import AttackFailed, Outcome, Scene, attack_in
from sandbox.engine.thread import EngineThread
from sandbox.errors import SandboxError

_MOST_ANSWER = 200


@dataclass
class Report:
    """Every finding, and what was done to the bait."""

    isolation: str
    enforced: tuple[str, ...]
    findings: list[Finding] = field(default_factory=list)
    harm: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, outcome: str) -> int:
        return sum(finding.outcome == outcome for finding in self.findings)

    @property
    def holds(self) -> bool:
        """Whether nothing got through that should not."""
        return not self.harm and not self.count(THROUGH)


def attack(
    isolation: str,
    on_family: Callable[[str, list[Finding]], None] = lambda _name, _findings: None,
    environment: Any = None,
) -> Report:
    """Run every probe in sandboxes at this level, "auto" for the strongest. Raises SandboxStartError.

    `on_family` is called with the findings of each family of probes when all of it is done.
    """
    begin = time.perf_counter()
    with (
        bait.laid() as laid,
        _engine() as engine,
        Scene(engine, laid, isolation, environment) as scene,
    ):
        box = scene.box()
        report = Report(str(box.isolation), tuple(box.enforced))
        for family, probes in FAMILIES.items():
            found = [tried(scene, family, probe) for probe in probes]
            report.findings += found
            on_family(family, found)
        report.harm = laid.harm()
    report.seconds = time.perf_counter() - begin
    return report


@contextlib.contextmanager
def _engine() -> Iterator[EngineThread]:
    engine = EngineThread(parked=0)
    try:
        yield engine
    finally:
        engine.close()


def tried(scene: Scene, family: str, probe: AnyProbe) -> Finding:
    """Run one probe."""
    begin = time.perf_counter()
    outcome, answer, layer = _found(scene, probe)
    seconds = time.perf_counter() - begin
    return Finding(family, probe.name, probe.goal, outcome, answer[:_MOST_ANSWER], layer, seconds)


def _found(scene: Scene, probe: AnyProbe) -> tuple[str, str, str]:
    try:
        match probe:
            case Probe():
                return _of_probe(scene, probe)
            case Flood():
                return _of_flood(scene, probe)
            case Trick():
                harm = probe.attempt(scene)
                return (THROUGH, harm, "") if harm else (STOPPED, "unharmed", probe.guard)
    except AttackFailed as error:
        return THROUGH, f"the attack did not work: {str(error).strip().splitlines()[-1]}", ""
    except SandboxError as error:
        return THROUGH, f"it broke the sandbox: {error.message}", ""


def _of_probe(scene: Scene, probe: Probe) -> tuple[str, str, str]:
    if why := lacking(probe.needs, scene):
        return UNTRIED, why, ""
    outcome = attack_in(scene.box(), probe.attack, *scene.resolved(probe.arguments))
    answer = answer_of(outcome)
    stops = probe.stops.get(str(scene.box().isolation))
    if stops is None:
        return (OPEN, answer, "") if got_through(outcome) else (STOPPED, answer, "the host")
    layer = stops.get(answer)
    return (STOPPED, answer, layer) if layer else (THROUGH, answer, "")


def got_through(outcome: Outcome) -> bool:
    """Whether an attack learned or reached something."""
    return not outcome.error and bool(outcome.value)


def answer_of(outcome: Outcome) -> str:
    """What it met, in a word; what it learned, if it did."""
    return outcome.error or (str(outcome.value) if outcome.value else NOTHING)


def _of_flood(scene: Scene, flood: Flood) -> tuple[str, str, str]:
    with scene.own_box(**flood.tight) as box:
        cause = cause_of(box.run(f"import attacks\n{flood.code}", check=False))
        if cause not in flood.causes:
            return THROUGH, f"it ended by {cause}", ""
        if box.run("6 * 7", timeout=20.0).text != "42" or scene.box().run("6 * 7").text != "42":
            return THROUGH, "the engine does not answer afterwards", ""
        return STOPPED, cause, f"limit: {flood.causes[cause]}"


def cause_of(execution: Any) -> str:
    """What ended an execution: a limit's name, "error" for an exception of the code's own, "nothing"."""
    if execution.cause is not None:
        return str(execution.cause)
    return "error" if execution.exception is not None else NOTHING


def lacking(needs: str, scene: Scene) -> str:
    """Why there is nothing to try here, or nothing."""
    if needs.startswith("/"):
        return "" if os.path.lexists(needs) else f"this machine has no {needs}"
    match needs:
        case "x86_64" if os.uname().machine != needs:
            return "these are calls of x86-64"
        case "shared_memory" if scene.bait[needs] < 0:
            return "this kernel has no shared memory of System V"
        case "IPv6" if not Path("/proc/net/if_inet6").exists():
            return "this machine has no IPv6"
    return ""
