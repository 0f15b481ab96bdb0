"""The zygote of the models' workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.state.harness.workers import Zygote


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    """A zygote whose workers run cells and save nothing."""
    zygote = Zygote("product")
    yield zygote
    zygote.close()
