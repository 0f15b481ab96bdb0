"""Which options a key may ask for. Whoever holds one is trusted less than whoever has an account on this machine."""

from __future__ import annotations

import os

import msgspec

from sandbox.errors import SandboxAccessError, UsageError
from sandbox.network.addresses import is_never_public
from sandbox.network.policy import NetworkPolicy, Secret
from sandbox.network.rules import parsed_rule
from sandbox.options import Environment, Mount, SandboxOptions, checked_network
from sandbox.protocol.messages import (
    HOST_NETWORK,
    LEARN,
    POLICY,
    PROXIED,
    PolicySpec,
    SecretSpec,
    SessionOptions,
    SetNetwork,
)  # fmt: skip
from sandbox.server.keys import Key

_MOST_OUTPUT = 64  # MB: an answer is kept in memory while it may be asked for again
_MOST_NAME = 200


def checked(options: SessionOptions, key: Key, idle_timeout: float | None, *, new: bool = True) -> SessionOptions:
    """The options as the engine gets them. Raises UsageError, SandboxAccessError.

    `idle_timeout` is the server's own, and the longest for what can be parked. The network of what is not `new` may
    have been changed since, and allow less than its secrets are for.
    """
    _check_values(options, new=new)
    own = os.environ.get("SANDBOX_ISOLATION", "auto")
    if options.output > _MOST_OUTPUT:
        raise UsageError(f"output={options.output:g} MB: a server takes at most {_MOST_OUTPUT}")
    _check_scopes(options, key, {"auto", "namespaces", own})
    changes: dict[str, object] = {"isolation": own} if options.isolation == "auto" else {}
    if options.persist and idle_timeout is not None:
        changes["idle_timeout"] = min(options.idle_timeout or idle_timeout, idle_timeout)
    return msgspec.structs.replace(options, **changes)


def _check_scopes(options: SessionOptions, key: Key, levels: set[str]) -> None:
    environment = options.environment
    asked = {
        "files": bool(options.files),
        "network": options.network == HOST_NETWORK or names_private(options.policy),
        "isolation": options.isolation not in levels,
        "without": bool(options.without),
        "environment": environment.path is not None or environment.allow_source_builds,
    }
    _require(key, "host", [name for name, used in asked.items() if used])
    if options.network in PROXIED:
        _require(key, "network", ["network"])
    if environment.python is not None or environment.packages or environment.warm is not None:
        scope = "host" if environment.python is not None and os.sep in environment.python else "environments"
        _require(key, scope, ["environment"])


def check_network(request: SetNetwork, key: Key) -> None:
    """Whether a key may change a network in this way. Raises UsageError, SandboxAccessError."""
    network_of(request.network, request.policy)
    if request.network in PROXIED:
        _require(key, "network", ["network"])
    if names_private(request.policy):
        _require(key, "host", ["network"])


def with_values(options: SessionOptions, given: tuple[SecretSpec, ...]) -> SessionOptions:
    """The options of a sandbox that is there already, with values for the secrets whose values are not known."""
    values = {one.unknown(): one for one in given}
    secrets = (one if one.value else values.get(one, one) for one in options.secrets)
    return msgspec.structs.replace(options, secrets=tuple(secrets))


def network_of(kind: str, policy: PolicySpec) -> str | NetworkPolicy:
    """The network as users write it. Raises UsageError."""
    given = NetworkPolicy(policy.allow, policy.deny, transfer=policy.transfer, rate=policy.rate)
    return given if kind == POLICY else kind


def names_private(policy: PolicySpec) -> bool:
    """Whether a policy is about addresses that only the server can reach."""
    return any(rule.network is not None and is_never_public(rule.network) for rule in map(parsed_rule, policy.allow))


def _require(key: Key, scope: str, names: list[str]) -> None:
    if names and scope not in key.scopes and "host" not in key.scopes:
        raise SandboxAccessError(
            f"the key {key.name!r} may not set {', '.join(names)}: that needs the scope {scope!r}",
            {"status": 403, "scope": scope, "options": names},
        )


def _check_values(options: SessionOptions, *, new: bool) -> None:
    """What the SDK checks before it sends something is checked again: others can send what they like."""
    if options.name is not None and len(options.name) > _MOST_NAME:
        raise UsageError(f"the name has {len(options.name)} characters: at most {_MOST_NAME}")
    values = {name: getattr(options, name) for name in SandboxOptions.__dataclass_fields__ if hasattr(options, name)}
    network = checked_network(network_of(options.network, options.policy))
    values["network"] = network if new or not options.secrets else LEARN
    values["secrets"] = {one.name: Secret(one.value, one.hosts, query=one.query) for one in options.secrets}
    values["files"] = {one.target: Mount(one.path, one.writable) for one in options.files}
    environment = options.environment
    values["environment"] = environment.path or Environment(
        environment.python,
        environment.packages,
        () if environment.warm is None else environment.warm,
        allow_source_builds=environment.allow_source_builds,
    )
    SandboxOptions(**values)
