"""The documents speak of everything that there is, and of nothing that there is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, documents

import sandbox
from sandbox import LocalSandbox, SandboxError, SandboxOptions
from sandbox.engine import isolation

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
_OPTION = re.compile(r"^\| `(\w+)` \| `(.+?)` \|", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _described(name: str) -> bool:
    return bool(re.search(rf"`{re.escape(name)}\b", README + GUIDE))


@pytest.mark.parametrize("name", SandboxOptions.__dataclass_fields__)
def test_an_option_is_described(name: str) -> None:
    assert _described(name)


def test_the_table_of_options_is_complete_and_its_defaults_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_ISOLATION", raising=False)
    section = README.split("\n## Options\n")[1].split("\n## ")[0]
    said = {name: default.strip('"') for name, default in _OPTION.findall(section)}
    assert said == {name: str(value) for name, value in vars(SandboxOptions()).items()}


@pytest.mark.parametrize("name", sandbox.__all__)
def test_a_public_name_is_described(name: str) -> None:
    assert _described(name)


def test_the_table_of_errors_is_complete_and_in_order_of_their_kind() -> None:
    section = GUIDE.split("\n## Errors\n")[1].split("\n## ")[0]
    said = set(re.findall(r"^\| `([A-Z]\w+)` \|", section, re.MULTILINE))
    errors = {name for name in sandbox.__all__ if isinstance(getattr(sandbox, name), type)}
    errors = {name for name in errors if issubclass(getattr(sandbox, name), SandboxError)}
    assert said == errors - {"SandboxError"}


async def test_every_metric_is_described(box: LocalSandbox) -> None:
    section = GUIDE.split("\n## Metrics\n")[1].split("\n## ")[0]
    said = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.+?) \|", section, re.MULTILINE))))
    assert said == set(await box.metrics.all())


async def test_every_attribute_of_an_execution_is_described(box: LocalSandbox) -> None:
    execution = await box.run("1")
    names = {name for name in dir(execution) if not name.startswith("_")} - {"add", "combined", "output", "outputs"}
    assert {name for name in names if not _described(name)} == set()


def test_the_commands_that_mend_a_machine_are_those_that_doctor_prints() -> None:
    section = README.split("\n## Isolation")[1].split("\n## ")[0]
    commands = re.findall(r"`((?:sudo|systemd-run|--security-opt) [^`]+)`", section)
    printed = " ".join(isolation.known_remedy(name) for name in isolation._REMEDIES)
    assert len(commands) >= 5
    assert [command for command in commands if command not in printed] == []


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    dead = [link for link in _LINK.findall(text) if "://" not in link and not _leads(path, link)]
    assert dead == []


def _leads(path: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target.read_text(encoding="utf-8"))


def _anchors(text: str) -> set[str]:
    """The anchors that headings get, and those that are set by hand."""
    headings = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}
    return headings | set(re.findall(r'<a id="([\w-]+)">', text))
