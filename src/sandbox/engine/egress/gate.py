"""Decides what code may reach: by rules for what it asks for, and by the addresses to which that leads."""

from __future__ import annotations

from typing import NamedTuple

from sandbox.engine.egress.outside import Outside
from sandbox.network.addresses import not_public
from sandbox.network.hosts import Address, Host, plain, shown
from sandbox.network.rules import TCP, Rules, Verdict, rule_for


class Refused(Exception):
    """Something is not allowed. `rule` would allow it, if a rule can.

    `told` is for the code, which need not learn what names mean in the host's network; the rest is for its user.
    """

    def __init__(self, reason: str, rule: str = "", told: str = "") -> None:
        super().__init__(reason)
        self.reason, self.rule = reason, rule
        self.told = told or (f"{reason}; allow it with the rule {rule!r}" if rule else reason)


class Unreachable(Exception):
    """It is allowed, and could not be reached."""


class Way(NamedTuple):
    """How something is reached: the rule that allows it, and addresses to try in this order."""

    rule: str
    addresses: list[Address]


class Gate:
    """The rules in force, and the way out. `rules` may be replaced at any time."""

    def __init__(self, rules: Rules, outside: Outside) -> None:
        self.rules = rules
        self.outside = outside

    def verdict(self, kinds: tuple[str, ...], host: Host, port: int) -> Verdict:
        """Decide about a host. Raises Refused."""
        denied = ""
        for kind in kinds:
            verdict = self.rules.verdict(kind, host, port)
            if verdict.allowed:
                return verdict
            denied = denied or verdict.rule
        where = f"{shown(host)}:{port}"
        if denied:
            raise Refused(f"{where} is denied by the rule {denied!r}")
        raise Refused(f"{where} is not allowed", rule_for(host, port, TCP if kinds == (TCP,) else ""))

    async def way(self, kinds: tuple[str, ...], host: Host, port: int) -> Way:
        """Resolve what is allowed, and keep only the addresses that may be connected to.

        Nothing is resolved a second time: who uses these addresses cannot be sent elsewhere by another answer.
        Raises Refused, Unreachable.
        """
        verdict = self.verdict(kinds, host, port)
        found = await self._resolved(host, port) if isinstance(host, str) else [host]
        try:
            refused = {address: self._refusal(address, port) for address in found}
        except OSError as error:
            raise Unreachable(f"whose address {shown(host)} is cannot be found out: {error}") from error
        allowed = [address for address in found if not refused[address]]
        if allowed:
            return Way(verdict.rule, allowed)
        address, reason = next(iter(refused.items()))
        leads = f"{shown(host)} is {address}, which" if isinstance(host, str) else shown(host)
        told = f"{shown(host)} leads to an address that is not public, or denied"
        raise Refused(f"{leads} {reason}", rule_for(plain(address), port) if not_public(address) else "", told)

    def still_allows(self, kinds: tuple[str, ...], host: Host, port: int, address: Address | None) -> bool:
        """Whether a connection that there is may go on."""
        try:
            self.verdict(kinds, host, port)
            return address is None or not self._refusal(address, port)
        except (Refused, OSError):  # nor one of which that cannot be found out
            return False

    async def _resolved(self, host: str, port: int) -> list[Address]:
        try:
            found = await self.outside.resolve(host, port)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise Unreachable(f"{host} cannot be resolved: {error or 'no name server answers'}") from error
        if not found:
            raise Unreachable(f"{host} has no address")
        return found

    def _refusal(self, address: Address, port: int) -> str:
        """Why an address may not be connected to, or nothing."""
        denied = self.rules.denies(address, port)
        if denied:
            return f"is denied by the rule {denied!r}"
        what = not_public(address)
        if what:
            return "" if self.rules.names(address, port) else f"is not a public address ({what})"
        return "is an address of the host itself" if self.outside.is_own(plain(address)) else ""
