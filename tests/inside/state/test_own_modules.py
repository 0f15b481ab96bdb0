"""Modules of the session's own are found among a thousand others, without looking at all of those."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.inside.state.live import Live

_NAMES = ("own_a", "own_b", "own_c")


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory on the path with modules of the session's own."""
    for name in _NAMES:
        (tmp_path / f"{name}.py").write_text(f"name = {name!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in _NAMES:
        sys.modules.pop(name, None)


def own(live: Live) -> set[str]:
    return {name.removeprefix("module ") for name in live.saver._extras._modules.values}


def test_each_is_found_when_it_is_imported(live: Live) -> None:
    live.run("import own_a")
    live.run("import own_b, json")
    assert own(live) == {"own_a", "own_b"}


def test_one_that_is_imported_again_is_found_wherever_it_stands(live: Live) -> None:
    live.run("import sys, own_a, own_b")
    live.run("del sys.modules['own_b'], own_b, sys.modules['own_a'], own_a")
    assert own(live) == set()
    live.run("import own_c, own_a")
    assert own(live) == {"own_a", "own_c"}


def test_one_that_takes_the_place_of_another_in_one_cell_is_found(live: Live) -> None:
    live.run("import sys, own_a")
    live.run("del sys.modules['own_a'], own_a; import own_b")
    assert own(live) == {"own_b"}
