"""Where a sandbox has no network of its own."""

from __future__ import annotations

import asyncio

import pytest
from tests.security.conftest import Range
from tests.web.conftest import SERVER, get

from sandbox import UsageError
from sandbox.inside.contain.policy import LANDLOCK, NAMESPACES


def test_at_level_landlock_an_app_is_refused_with_the_reason(lab: Range) -> None:
    box = lab.new_box(isolation=LANDLOCK)
    with pytest.raises(UsageError, match="a web app needs a network of its own, and isolation='landlock' has none"):
        box.web.start(SERVER, "http", 0)
    assert box.web.list() == []


@pytest.mark.parametrize("isolation", [NAMESPACES, LANDLOCK])
def test_a_sandbox_with_the_hosts_network_has_apps_too(lab: Range, isolation: str) -> None:
    box = lab.new_box(isolation=isolation, network="host")
    app = box.web.start(SERVER, "http", 0)
    assert app.port != app.inner_port
    there = f"http://127.0.0.1:{app.inner_port}"
    assert asyncio.run(get(app.url)).body == asyncio.run(get(there)).body == b"hello from /"
    app.stop()
