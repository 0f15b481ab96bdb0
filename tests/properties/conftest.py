"""A data directory that is not the run's, and the zygote of the models' workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.state.harness.workers import Zygote


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.chmod(0o711)
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    """A zygote whose workers run cells and save nothing."""
    zygote = Zygote("product")
    yield zygote
    zygote.close()
