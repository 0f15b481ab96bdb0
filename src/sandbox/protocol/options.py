"""The options of a session, in the form that travels."""

from __future__ import annotations

from msgspec import Struct


class MountSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A host path to show at `target`."""

    target: str
    path: str
    writable: bool = False


class EnvironmentSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The path of a virtual environment, or what to build one from; neither means the engine's own."""

    path: str | None = None
    python: str | None = None
    packages: tuple[str, ...] = ()
    warm: tuple[str, ...] | None = None
    allow_source_builds: bool = False


HOST_NETWORK, POLICY, LEARN = "host", "policy", "learn"
PROXIED = (POLICY, LEARN)
"""The kinds of network whose traffic goes through the engine's proxy. `SessionOptions.network` may be "none" too."""


class PolicySpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of `sandbox.NetworkPolicy`. `transfer` in MB, `rate` in MB a second."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    transfer: float | None = None
    rate: float | None = None


class SecretSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret for `hosts`. An engine that has only read of it, from what is stored, has no `value`."""

    name: str
    value: str
    hosts: tuple[str, ...]
    query: bool = False

    def unknown(self) -> SecretSpec:
        """The same without its value."""
        return SecretSpec(self.name, "", self.hosts, self.query)

    def __repr__(self) -> str:
        return f"SecretSpec({self.name!r}, hosts={self.hosts!r})"


class SessionOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The options of `sandbox.SandboxOptions`, in the form that travels.

    `files_of`: of a session in JavaScript, the open session whose workspace it works in, instead of one of its own.
    """

    name: str | None = None
    memory: int = 1024
    cpus: float = 1.0
    timeout: float | None = 30.0
    env: dict[str, str] = {}
    isolation: str = "auto"
    environment: EnvironmentSpec = EnvironmentSpec()
    network: str = "none"
    files: tuple[MountSpec, ...] = ()
    processes: int = 128
    disk: int = 1024
    output: float = 10
    without: tuple[str, ...] = ()
    persist: bool = True
    idle_timeout: float | None = None
    storage: int | None = None
    checkpoints: int = 1000
    policy: PolicySpec = PolicySpec()
    secrets: tuple[SecretSpec, ...] = ()
    language: str | None = None
    seed: int | None = None
    files_of: str | None = None
