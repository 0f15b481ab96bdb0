"""Secrets: what stands for them inside, and where the proxy puts the values in and takes them out again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from sandbox.engine.egress.gate import Refused, Unreachable
from sandbox.protocol.messages import SecretSpec

if TYPE_CHECKING:
    from sandbox.engine.egress.authority import Authority
    from sandbox.engine.egress.targets import Headers

_OF_A_PART = (b"range", b"if-range")


class Secret:
    """One secret of a session."""

    def __init__(self, spec: SecretSpec) -> None:
        self.spec = spec
        # The same in every worker, fork and restored session: variables may hold it. It need not be hard to guess,
        # since it is worth nothing but within this sandbox.
        digest = hashlib.blake2b(spec.name.encode(), digest_size=8).hexdigest()
        self.placeholder = f"sandbox-secret-{spec.name}-{digest}"
        self.inside, self.outside = self.placeholder.encode(), spec.value.encode()

    def is_for(self, host: str) -> bool:
        """Whether a host gets the value."""
        return any(
            host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:])) for pattern in self.spec.hosts
        )


class Secrets:
    """All of a session's."""

    def __init__(self, specs: Iterable[SecretSpec]) -> None:
        self._all = [Secret(spec) for spec in specs]

    def learn(self, specs: Iterable[SecretSpec]) -> None:
        """Take values that were not known, of secrets that are the same otherwise."""
        values = {spec.unknown(): spec for spec in specs if spec.value}
        self._all = [Secret(values.get(one.spec, one.spec)) for one in self._all]

    def authority(self) -> Authority | None:
        """What it takes to stand for the hosts that get one; None if there are none. Raises SandboxStartError."""
        if not self._all:
            return None
        from sandbox.engine.egress.authority import Authority  # noqa: PLC0415 - cryptography, for who has secrets

        return Authority(host for one in self._all for host in one.spec.hosts)

    def variables(self) -> dict[str, str]:
        """What code has instead of the values."""
        return {one.spec.name: one.placeholder for one in self._all}

    def of(self, host: str) -> list[Secret]:
        """Those that a host gets."""
        return [one for one in self._all if one.is_for(host)]

    def named_in(self, host: str, path: bytes, headers: Headers) -> list[str]:
        """The names of those of a host whose placeholders are in a request, where a value could be put in."""
        query = path.partition(b"?")[2]
        said = [b"\n".join([value, _basic_text(value) or b""]) for _, value in headers]
        return [
            one.spec.name
            for one in self.of(host)
            if any(one.inside in text for text in (*said, query if one.spec.query else b""))
        ]


class Substitution:
    """For one request and its answer: values go in on the way out, and are taken out on the way back."""

    def __init__(self, secrets: list[Secret], method: bytes) -> None:
        self._secrets = secrets
        self._head_only = method == b"HEAD"
        self._used = False
        self._held = b""
        self._instead = {form: one.inside for one in secrets if one.outside for form in _forms(one.spec.value)}
        self._values = _any_of(self._instead)

    # --- the request ---

    def request(self, path: bytes, headers: Headers) -> tuple[bytes, Headers]:
        """Put values in. Raises Refused for one that is not known."""
        path, mark, query = path.partition(b"?")
        for one in self._secrets:
            if one.spec.query and one.inside in query:
                self._use(one)
                query = query.replace(one.inside, quote(one.spec.value, safe="").encode())
        changed = [(name, self._value(name, value)) for name, value in headers if name.lower() != b"accept-encoding"]
        if self._used:
            changed = [one for one in changed if one[0].lower() not in _OF_A_PART]
            self._values = _any_of(self._instead)
        return path + mark + query, [*changed, (b"Accept-Encoding", b"identity")]

    def _value(self, name: bytes, value: bytes) -> bytes:
        plain = _basic_text(value) if name.lower() == b"authorization" else None
        if plain is None:
            return self._put_in(value)
        sent = base64.b64encode(self._put_in(plain))
        # Whoever has what was sent has the value: an echo of it is taken out too.
        self._instead.setdefault(sent, base64.b64encode(plain))
        return b"Basic " + sent

    def _put_in(self, value: bytes) -> bytes:
        for one in self._secrets:
            if one.inside in value:
                self._use(one)
                value = value.replace(one.inside, one.outside)
        return value

    def _use(self, one: Secret) -> None:
        if not one.outside:
            raise Refused(
                f"the value of the secret {one.spec.name} is not known since the engine was restarted: "
                "open the sandbox with secrets= again"
            )
        self._used = True

    # --- the answer ---

    def response(self, headers: Headers) -> Headers:
        """Take values out. Raises Unreachable for an answer that cannot be looked through."""
        encodings = {value.lower() for name, value in headers if name.lower() == b"content-encoding"}
        if encodings - {b"identity"} and self._used and not self._head_only:
            raise Unreachable("the answer to a request with a secret is compressed, although it was asked not to be")
        found = [(self.taken_out(name), self.taken_out(value)) for name, value in headers]
        # What a placeholder stands for is of another length.
        return found if self._head_only else [one for one in found if one[0].lower() != b"content-length"]

    def body(self, data: bytes, *, last: bool) -> bytes:
        """Take values out of the next piece; what may be the beginning of one is held until the next."""
        data = self._held + data
        end = len(data) if last else self._undecided(data)
        self._held = data[end:]
        return self.taken_out(data[:end])

    def _undecided(self, data: bytes) -> int:
        """Where something begins that what comes next may make a value, or a longer one than it is; else the end."""
        if self._values is None:
            return len(data)
        found = [one.span() for one in self._values.finditer(data)]
        for at in range(max(0, len(data) - max(map(len, self._instead)) + 1), len(data)):
            begins = any(form.startswith(data[at:]) for form in self._instead)
            if begins and not any(start < at < end for start, end in found):
                return at
        return len(data)

    def taken_out(self, data: bytes) -> bytes:
        """A text with placeholders where values were."""
        if self._values is None:
            return data
        return self._values.sub(lambda found: self._instead[found[0]], data)


def _forms(value: str) -> set[bytes]:
    """A value as it is, and as it usually stands in a URL, in JSON and in HTML."""
    quoted = json.dumps(value)[1:-1]
    forms = (
        value, quote(value), quote(value, safe=""), quote_plus(value), quoted, quoted.replace("/", "\\/"),
        html.escape(value), html.escape(value, quote=False),
    )  # fmt: skip
    return {form.encode() for form in forms}


def _any_of(forms: Iterable[bytes]) -> re.Pattern[bytes] | None:
    """What finds any of them, the longest first; None if there are none."""
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None


def _basic_text(value: bytes) -> bytes | None:
    """What basic authentication says; None if a value is no such thing."""
    if value[:6].lower() != b"basic ":
        return None
    try:
        return base64.b64decode(value[6:].strip(), validate=True)
    except binascii.Error:
        return None
