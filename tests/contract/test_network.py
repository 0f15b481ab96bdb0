"""What a sandbox may reach, and what it has asked for."""

from __future__ import annotations

import pytest

from sandbox import NetworkPolicy, UsageError

from .conftest import Open

pytestmark = pytest.mark.needs_namespaces

ASK = "import urllib.request\nurllib.request.urlopen('https://{}/')"


async def test_what_is_refused_is_explained_noted_and_proposed(open_box: Open) -> None:
    policy = NetworkPolicy(["api.example.com"], ["bad.example.com"], transfer=1, rate=2.5)
    box = await open_box(network=policy)
    execution = await box.run(ASK.format("other.example.com"), check=False)
    assert (execution.network, execution.cause) == ("policy", "denied")
    assert "'other.example.com:443'" in execution.warnings[0]
    (entry,) = await box.network.log()
    assert (entry.host, entry.port, entry.allowed, entry.method) == ("other.example.com", 443, False, "CONNECT")
    assert await box.network.proposal() == NetworkPolicy(["other.example.com:443"])
    assert await box.network.get() == policy
    assert await box.network.transferred() == 0


async def test_a_policy_is_changed_while_the_sandbox_runs(open_box: Open) -> None:
    box = await open_box()
    assert await box.network.get() == "none"
    await box.network.set(NetworkPolicy(["api.example.com"], deny=["other.example.com"]))
    execution = await box.run(ASK.format("other.example.com"), check=False)
    assert "is denied by the rule 'other.example.com'" in execution.warnings[0]
    with pytest.raises(UsageError, match="when the sandbox is made"):
        await box.network.set("host")
