"""What users write: `NetworkPolicy` and `Secret`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.errors import UsageError

_LEAST_SECRET = 8
_MOST_SECRET = 8192
_MOST_RULES = 1000


@dataclass(frozen=True)
class NetworkPolicy:
    """Which hosts code may reach, through the host's proxy. Everything else is refused, and noted in the log.

    Attributes:
        allow: Rules such as "api.example.com" (HTTPS and HTTP at their usual ports), "*.example.org:443" (every name
            below it, not itself), "example.com:*" (any port), "https://..." or "http://..." for one of the two,
            "tcp://db.example.com:5432" for other protocols, or an address or network such as "10.1.0.0/16:8080".
            Private addresses are refused, also where an allowed name leads to one, unless such a rule names them.
        deny: Rules that go before those in `allow`; without a port they are about every port.
        transfer: Limit in MB for all that is sent and received, or None.
        rate: Limit in MB a second, or None.

    Raises UsageError for a rule that makes no sense.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    transfer: float | None = None
    rate: float | None = None

    def __init__(
        self,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        *,
        transfer: float | None = None,
        rate: float | None = None,
    ) -> None:
        checked = {
            "allow": _texts("allow", allow), "deny": _texts("deny", deny),
            "transfer": _megabytes("transfer", transfer), "rate": _megabytes("rate", rate),
        }  # fmt: skip
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        _check_rules(self.allow, self.deny)

    def __or__(self, other: NetworkPolicy) -> NetworkPolicy:
        """What either of two allows; what one denies, and the lower of the limits, hold for both."""
        if not isinstance(other, NetworkPolicy):
            return NotImplemented
        allow, deny = (dict.fromkeys((*a, *b)) for a, b in ((self.allow, other.allow), (self.deny, other.deny)))
        limits = {
            name: min(
                (value for value in (getattr(self, name), getattr(other, name)) if value is not None), default=None
            )
            for name in ("transfer", "rate")
        }
        return NetworkPolicy(allow, deny, **limits)


@dataclass(frozen=True)
class Secret:
    """A value that code can use and never sees: it has a placeholder, for which the proxy puts the value in.

    Attributes:
        value: Such as an API key. It stays in the host's memory.
        hosts: The only hosts that get it, as "api.example.com" or "*.example.com"; the policy has to allow them.
        query: Put it into the query of a URL too. Otherwise only into headers, which do not show up in other places.
    """

    value: str = field(repr=False)
    hosts: tuple[str, ...] = ()
    query: bool = False

    def __init__(self, value: str, hosts: Iterable[str], *, query: bool = False) -> None:
        object.__setattr__(self, "value", _secret(value))
        object.__setattr__(self, "hosts", _hosts(hosts))
        object.__setattr__(self, "query", bool(query))


def checked_secrets(secrets: object, network: object, env: Mapping[str, str]) -> dict[str, Secret]:
    """Return secrets that a sandbox with this network can have. Raises UsageError."""
    if not isinstance(secrets, Mapping):
        raise UsageError("secrets must map names of environment variables to Secret(value, hosts=[...])")
    for name, secret in secrets.items():
        if not isinstance(secret, Secret):
            raise UsageError(f"secrets[{name!r}] is not a Secret: write Secret(value, hosts=[...])")
        if name in env:
            raise UsageError(f"{name!r} is in env and in secrets: it can only be one of them")
        if network != "learn" and not isinstance(network, NetworkPolicy):
            raise UsageError(f"secrets[{name!r}] needs a network, as network=NetworkPolicy(allow={list(secret.hosts)})")
        if missing := not_allowed(secret, network):
            hosts = ", ".join(missing)
            raise UsageError(f"secrets[{name!r}] is for {hosts}, which the network policy does not allow")
    return dict(secrets)


def _check_rules(allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    from sandbox.network.hosts import BadHost  # noqa: PLC0415 - 4 ms, for who has a policy
    from sandbox.network.rules import Rules  # noqa: PLC0415

    try:
        Rules(allow, deny)
    except BadHost as error:
        raise UsageError(f"NetworkPolicy: {error}") from error


def not_allowed(secret: Secret, network: object) -> list[str]:
    """Return the hosts of a secret that code could not reach with it."""
    from sandbox.network.rules import Rules  # noqa: PLC0415 - as above

    if network == "learn":
        return []
    rules = Rules(network.allow if isinstance(network, NetworkPolicy) else ())
    return [host for host in secret.hosts if not rules.covers(host)]


def _texts(name: str, rules: object, of: str = "NetworkPolicy") -> tuple[str, ...]:
    if isinstance(rules, str) or not isinstance(rules, Iterable):
        raise UsageError(f"{of}({name}=...) is {rules!r}: it must be a list, such as ['api.example.com']")
    found = tuple(rules)
    if len(found) > _MOST_RULES:
        raise UsageError(f"{of}({name}=...) has {len(found)} rules; there can be {_MOST_RULES}")
    for rule in found:
        if not isinstance(rule, str) or not rule.strip():
            raise UsageError(f"{of}({name}=...) has {rule!r}, which is not a rule such as 'api.example.com'")
    return found


def _megabytes(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0.001 <= value <= 1e9:
        return float(value)
    raise UsageError(f"NetworkPolicy({name}={value!r}) is not a number of MB from 0.001, or None for no limit")


def _secret(value: object) -> str:
    # Its text is in no message: messages are printed and logged.
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        raise UsageError("the value of a Secret must be a text of printable ASCII, without blanks around it")
    if not _LEAST_SECRET <= len(value) <= _MOST_SECRET:
        raise UsageError(f"the value of a Secret has {len(value)} characters: from {_LEAST_SECRET} to {_MOST_SECRET}")
    return value


def _hosts(hosts: object) -> tuple[str, ...]:
    from sandbox.network.hosts import BadHost, name_of_rule  # noqa: PLC0415 - as above

    found = _texts("hosts", hosts, "Secret")
    if not found:
        raise UsageError("Secret(hosts=[]): it needs the hosts that get the value")
    try:
        return tuple(f"*.{name_of_rule(one[2:])}" if one.startswith("*.") else name_of_rule(one) for one in found)
    except BadHost as error:
        raise UsageError(f"Secret(hosts=...): {error}; write a name, or *.name") from error
