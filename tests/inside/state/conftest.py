"""One warm zygote for all set-ups, and a session that lives in the test's own process."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.inside.state.live import Live
from tests.state.harness.workers import Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Forks workers that save with the product's Saver."""
    zygote = Zygote("product")
    yield zygote
    zygote.close()


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Live:
    """A session in this process, for what is to be seen of its records."""
    monkeypatch.chdir(tmp_path)
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    return Live(main)
