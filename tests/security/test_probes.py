"""The attacks of `sandbox doctor --attack`: each is stopped by its layer, and gets through where that layer is off.

Several layers may stop the same attack. A probe's controls are then several sandboxes, the one with the least switched
off first, and it has to get through in one of them: what stands in the way of the others is named in the probe.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import beneath
from sandbox.attack.bait import CONTENT, Bait
from sandbox.attack.probe import OPEN, STOPPED, THROUGH, UNTRIED, AnyProbe, Flood, Probe, Trick
from sandbox.attack.probes import FAMILIES, tricks
from sandbox.attack.run import answer_of, cause_of, got_through, lacking, tried
from sandbox.attack.scene import Scene, loading
from sandbox.inside.contain.policy import LANDLOCK, LEVELS, NAMESPACES

if TYPE_CHECKING:
    from tests.security.conftest import Range

_ALL = [probe for probes in FAMILIES.values() for probe in probes]
_PROBES = [probe for probe in _ALL if isinstance(probe, Probe)]
_FLOODS = [probe for probe in _ALL if isinstance(probe, Flood)]
_TRICKS = [probe for probe in _ALL if isinstance(probe, Trick)]
# Where only the host's root could show that an attack works at all, or something that this machine lacks.
_NO_OTHER_LINK = {"EXDEV", "SIGSEGV"}


def name_of(probe: AnyProbe) -> str:
    return probe.name


def of_levels() -> Iterator[Any]:
    """Every probe at the level of this run, and at level landlock those that something else stops there."""
    for probe in _PROBES:
        yield pytest.param(probe, None, id=probe.name)
    for probe in _PROBES:
        if LANDLOCK in probe.stops and probe.stops[LANDLOCK] != probe.stops.get(NAMESPACES):
            yield pytest.param(probe, LANDLOCK, id=f"{probe.name}-landlock")


def in_order(parameters: Iterator[Any]) -> list[Any]:
    """Those with the same controls after each other, because a sandbox with something off takes a zygote of its own."""

    def controls(parameter: Any) -> str:
        probe, level = parameter.values
        return f"{level} {probe.controls.get(level or NAMESPACES)}"

    return sorted(parameters, key=controls)


@pytest.fixture(autouse=True)
def _mended(bait: Bait) -> Iterator[None]:
    """The bait as it was, whatever a control has done to it."""
    yield
    bait.harm()
    place, secret = Path(bait["place"]), Path(bait["secret"])
    for name in set(os.listdir(place)) - bait["names"]:
        (place / name).unlink()
    secret.write_text(CONTENT, "utf-8")
    secret.chmod(0o666)


# --- everything is in force -----------------------------------------------------------------------------------------


def test_names_and_goals_are_told_apart() -> None:
    assert len({probe.name for probe in _ALL}) == len({probe.goal for probe in _ALL}) == len(_ALL) >= 100


@pytest.mark.parametrize("probe", _ALL, ids=name_of)
def test_an_attack_is_stopped_by_what_is_said_to_stop_it(lab: Range, bait: Bait, probe: AnyProbe) -> None:
    finding = tried(lab, "", probe)
    if finding.outcome == UNTRIED:
        pytest.skip(finding.answer)
    if isinstance(probe, Probe) and lab.level not in probe.stops:
        assert finding.outcome in {OPEN, STOPPED}
        return
    assert (finding.outcome, bait.harm()) == (STOPPED, []), finding.answer


# --- with that layer alone off --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("probe", "level"), in_order(of_levels()))
def test_without_its_layer_an_attack_gets_through(lab: Range, probe: Probe, level: str | None) -> None:
    at = level or lab.level
    if level:
        lab.box(isolation=level)  # skips where it is not to be had
    if why := lacking(probe.needs, lab) or ("" if at in probe.stops else "this level does not claim to stop it"):
        pytest.skip(why)
    met = []
    for control in probe.controls[at]:
        met.append(_answer(lab, probe, {**({"isolation": level} if level else {}), **control}))
        if not met[-1]:
            return
    if probe.root_control is not None and os.geteuid() == 0:
        met.append(_answer(lab, probe, probe.root_control))
        if not met[-1]:
            return
    if os.geteuid() != 0 or set(met) & _NO_OTHER_LINK:
        pytest.skip(f"nothing more can be switched off here: {', '.join(met)}")
    pytest.fail(f"it never worked, so nothing has stopped it: {', '.join(met)}")


def _answer(lab: Range, probe: Probe, control: Mapping[str, Any]) -> str:
    """What the attack meets in a control; nothing if it gets through."""
    if "plain" in control:
        return _plainly(probe.attack, lab.resolved(probe.arguments))
    box = lab.control_box(**control)
    outcome = lab.attack_in_control(probe.attack, probe.arguments, control)
    stated = set(control.get("without", ())) & set(box.enforced)
    assert not stated, f"{stated} are in force all the same"
    return "" if got_through(outcome) else answer_of(outcome)


def _plainly(attack: str, arguments: list[Any]) -> str:
    """The same in an ordinary process, which inherits what any does."""
    code = f"{loading()}\nimport attacks\nprint(attacks.outcome({attack!r}, {json.dumps(arguments)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, close_fds=False)
    answer = json.loads(done.stdout)
    return "" if answer["value"] else answer["error"] or "nothing"


@pytest.mark.parametrize("flood", _FLOODS, ids=name_of)
def test_with_a_roomier_limit_a_flood_is_none(lab: Range, flood: Flood) -> None:
    with lab.own_box(**flood.roomy) as box:
        execution = box.run(f"import attacks\n{flood.roomy_code or flood.code}", check=False)
    assert cause_of(execution) == "nothing", execution


# --- tricks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        tricks._forging(b""),
        tricks._forging(b"", tricks._named),
        tricks._flooding("pass"),
        tricks._flooding("missing()"),
    ],
    ids=["nothing is forged", "nothing is named", "nothing is sent", "it raises"],
)
def test_a_trick_that_does_nothing_is_not_said_to_be_stopped(lab: Range, attempt: Callable[[Scene], str]) -> None:
    finding = tried(lab, "", Trick("none", "do nothing", "nobody", attempt))
    assert (finding.outcome, finding.layer) == (THROUGH, "")
    assert "the attack did not work" in finding.answer


@pytest.mark.parametrize("trick", [trick for trick in _TRICKS if trick.guard == "beneath"], ids=name_of)
def test_without_the_bounds_of_its_lookup_the_engine_is_led_through_links(
    lab: Range, trick: Trick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beneath, "_BENEATH", 0)
    assert "it was done" in trick.attempt(lab)


def test_what_is_stored_to_run_when_it_is_unpickled_does(tmp_path: Path) -> None:
    marker = tmp_path / "unpickled"
    code = f"import pickle\n{tricks._EVIL.format(path=str(marker))}\npickle.loads(pickle.dumps(evil))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert marker.exists()


def test_every_level_has_its_layers_attacked() -> None:
    """No restriction of the policy but those that something else has to attack."""
    for level in LEVELS:
        named = {layer for probe in _PROBES for layer in probe.stops.get(level, {}).values()}
        assert {"landlock", "capabilities", "no_new_privs", "environment", "descriptors"} <= named
