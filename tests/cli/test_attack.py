"""`sandbox doctor --attack`: what it prints, and its exit code. The attacks are tested in tests/security."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.attack import run
from sandbox.attack.probe import Of, Probe, Trick, at, by
from sandbox.attack.probes import FAMILIES
from sandbox.cli import doctor, terminal

from .conftest import DEADLINE, Cli

# Nothing stops what these do: it is no harm.
_WORKING = Probe("own-file", "read its own file", "create", ("note",), stops=at(by("landlock", "EACCES")))
_ALLOWED = Probe("own-file", "read its own file", "create", ("note",))
_BROKEN = Probe("broken", "make a mistake", "no_such_attack", stops=at(by("landlock", "EACCES")))
_HARMING = Trick("harm", "change a file of the host", "nobody", lambda scene: _change(scene.bait["secret"]))


def _change(path: str) -> str:
    Path(path).write_text("changed", "utf-8")
    return ""


@pytest.fixture
def printed(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the command writes, of a run in this process with few attacks."""
    said: list[str] = []
    monkeypatch.setattr(terminal, "write", lambda _fd, text: said.append(text))
    yield said
    assert list((own_home / "run").glob("*")) == []


def attacking(monkeypatch: pytest.MonkeyPatch, *probes: Any) -> None:
    monkeypatch.setattr(run, "FAMILIES", {"A family": probes})


def answer(said: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(said))
    return found


def test_one_attack_of_each_family_is_stopped(printed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    attacking(monkeypatch, *(next(iter(probes)) for probes in FAMILIES.values()))
    assert doctor.main(["--attack", "--json"]) == 0
    found = answer(printed)
    assert found.keys() == {"exit_code", "isolation", "enforced", "seconds", "harm", "attacks"}
    assert {attack["outcome"] for attack in found["attacks"]} == {"stopped"}
    assert all(attack["layer"] and attack["answer"] for attack in found["attacks"])
    assert (found["exit_code"], found["harm"]) == (0, [])
    assert os.environ.get("SANDBOX_ISOLATION", "auto") in {"auto", found["isolation"]}


@pytest.mark.parametrize("probe", [_WORKING, _BROKEN])
def test_what_gets_through_or_does_not_work_is_told_and_fails(
    printed: list[str], monkeypatch: pytest.MonkeyPatch, probe: Probe
) -> None:
    attacking(monkeypatch, probe)
    assert doctor.main(["--attack", "--json"]) == 1
    (attack,) = answer(printed)["attacks"]
    assert (attack["outcome"], attack["layer"]) == ("through", "")


def test_what_is_done_to_the_bait_fails_too(printed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    attacking(monkeypatch, _HARMING)
    assert doctor.main(["--attack"]) == 1
    assert "a file of the host was changed" in "".join(printed)
    assert "NOT STOPPED" in "".join(printed)


def test_what_a_level_does_not_claim_to_stop_is_said_and_no_failure(
    printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    attacking(monkeypatch, _ALLOWED)
    assert doctor.main(["--attack"]) == 0
    assert "does not claim to: read its own file" in "".join(printed)


def test_the_attack_is_on_the_level_that_is_asked_for(cli: Cli) -> None:
    refused = cli("doctor", "--attack", "--isolation", "none")
    assert (refused.returncode, "invalid choice" in refused.stderr) == (2, True)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_of_a_family_fits_80_columns(
    family: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sandbox.attack.probe import STOPPED, Finding
    from sandbox.cli import attack

    monkeypatch.setenv("COLUMNS", "80")
    layer = max((f"seccomp.{name}" for name in ("uncounted_memory", "line_disciplines")), key=len)
    findings = [
        Finding(family, probe.name, probe.goal, STOPPED, "EPROTONOSUPPORT", layer) for probe in FAMILIES[family]
    ]
    attack._show(family, findings)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for probe in FAMILIES[family]:
        assert any(line.startswith(probe.goal) and layer in line for line in lines), probe.goal


def test_bait_is_told_by_its_name() -> None:
    assert Of("process", "/proc/{}/mem").resolved({"process": 7}) == "/proc/7/mem"


def test_an_interrupt_takes_the_bait_away(start: Callable[..., subprocess.Popen[bytes]], nothing_is_left: None) -> None:
    process = start("doctor", "--attack")
    assert process.stdout is not None
    process.stdout.readline()  # the first table is there, and with it the bait
    token = f"PPid:\t{process.pid}\n"
    baits = [path.parent for path in Path("/proc").glob("[0-9]*/status") if token in path.read_text("utf-8", "replace")]
    places = [path for path in Path("/var/tmp").glob("sandbox-bait-*") if path.stat().st_uid == os.geteuid()]
    assert baits
    assert places
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) == 130
    assert [path for path in (*baits, *places) if path.exists()] == []
