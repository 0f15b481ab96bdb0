"""Stamps of settings: they differ whenever the settings do."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.inside.state.ambient import Item, items

NAME = "pandas._config.config"


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options of a pandas that has three."""
    found = {"display": {"width": 80, "html": {"border": 1}}, "mode": {"copy": None}}
    monkeypatch.setitem(sys.modules, NAME, SimpleNamespace(_global_config=found))
    return found


def item() -> Item:
    return next(one for one in items() if one.name == "pandas")


def test_an_options_stamp_differs_when_one_is_set_and_is_the_first_again_when_it_is_set_back(
    options: dict[str, Any],
) -> None:
    stamp = item().stamp
    first = stamp()
    assert first == {"display.width": 80, "display.html.border": 1, "mode.copy": None}
    options["display"]["html"]["border"] = 2
    assert stamp() == {**first, "display.html.border": 2}
    options["display"]["html"]["border"] = 1
    assert stamp() == first


def test_an_options_stamp_sees_groups_that_are_new_or_another_table_of_them(options: dict[str, Any]) -> None:
    stamp = item().stamp
    first = stamp()
    options["display"]["latex"] = {"long": True}
    assert stamp() == {**first, "display.latex.long": True}
    vars(sys.modules[NAME])["_global_config"] = {"mode": {"copy": 1}}
    assert stamp() == {"mode.copy": 1}
