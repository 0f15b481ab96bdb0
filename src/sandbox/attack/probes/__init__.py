"""All probes, by what they are about."""

from __future__ import annotations

from sandbox.attack.probe import AnyProbe
from sandbox.attack.probes import files, floods, kernel, network, processes, tricks

FAMILIES: dict[str, tuple[AnyProbe, ...]] = {
    "Calls that reach far into the kernel": kernel.PROBES,
    "Ways to a network": network.PROBES,
    "Files, devices and settings": files.PROBES,
    "Processes, secrets and rights": processes.PROBES,
    "Using things up": floods.PROBES,
    "What is sent to the engine, and left behind": tricks.PROBES,
}
