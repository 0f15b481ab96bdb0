"""One warm zygote of the harness for all tests of the state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.state.harness.workers import Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """A zygote whose workers save with the product's Saver."""
    zygote = Zygote("product")
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def control() -> Iterator[Zygote]:
    """A zygote whose workers save with one pickle for each name, which loses much and says little."""
    zygote = Zygote("control")
    yield zygote
    zygote.close()
