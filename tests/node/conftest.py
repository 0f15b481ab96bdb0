"""A started sandbox in JavaScript."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox import LocalSandbox, NodeSandbox
from sandbox.engine.thread import EngineThread


@pytest.fixture
async def js(node: EngineThread) -> AsyncIterator[LocalSandbox]:
    """Its session is deleted afterwards."""
    box = NodeSandbox.create_local("node")
    await box.start()
    yield box
    if box._opened is not None:
        await box.delete()
