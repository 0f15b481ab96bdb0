"""From the options as users write them to the form that travels."""

from __future__ import annotations

import os

import msgspec

from sandbox.network.policy import NetworkPolicy
from sandbox.options import Environment, Mount, SandboxOptions
from sandbox.protocol.messages import POLICY, EnvironmentSpec, MountSpec, PolicySpec, SecretSpec, SessionOptions


def session_options(options: SandboxOptions) -> SessionOptions:
    """Return the wire's form of `options`."""
    return SessionOptions(
        name=options.name,
        memory=int(options.memory),
        cpus=float(options.cpus),
        timeout=options.timeout,
        env=dict(options.env),
        isolation=options.isolation,
        environment=_environment(options.environment),
        network=kind_of(options.network),
        policy=policy_spec(options.network),
        secrets=tuple(SecretSpec(name, one.value, one.hosts, one.query) for name, one in options.secrets.items()),
        files=tuple(_mount(target, source) for target, source in options.files.items()),
        processes=options.processes,
        disk=options.disk,
        output=float(options.output),
        without=options.without,
        persist=options.persist,
        idle_timeout=options.idle_timeout,
        storage=options.storage,
        checkpoints=options.checkpoints,
        language=options.language,
        seed=options.seed,
    )


def with_network(options: SessionOptions, network: str | NetworkPolicy | None) -> SessionOptions:
    """Return `options` with another network, if one is given."""
    if network is None:
        return options
    return msgspec.structs.replace(options, network=kind_of(network), policy=policy_spec(network))


def kind_of(network: str | NetworkPolicy) -> str:
    """What kind of network is meant, in one word."""
    return POLICY if isinstance(network, NetworkPolicy) else network


def policy_spec(network: str | NetworkPolicy) -> PolicySpec:
    """The wire's form of a policy; an empty one for what is none."""
    if not isinstance(network, NetworkPolicy):
        return PolicySpec()
    return PolicySpec(network.allow, network.deny, network.transfer, network.rate)


def network_of(kind: str, policy: PolicySpec) -> str | NetworkPolicy:
    """What a user would have written for it."""
    if kind != POLICY:
        return kind
    return NetworkPolicy(policy.allow, policy.deny, transfer=policy.transfer, rate=policy.rate)


def _environment(value: str | os.PathLike[str] | Environment | None) -> EnvironmentSpec:
    if value is None:
        return EnvironmentSpec()
    if isinstance(value, Environment):
        return EnvironmentSpec(None, value.python, value.packages, value.warm, value.allow_source_builds)
    return EnvironmentSpec(path=os.path.abspath(os.path.expanduser(value)))


def _mount(target: str, source: str | os.PathLike[str] | Mount) -> MountSpec:
    mount = source if isinstance(source, Mount) else Mount(source)
    return MountSpec(target, os.path.abspath(os.path.expanduser(mount.path)), mount.writable)
