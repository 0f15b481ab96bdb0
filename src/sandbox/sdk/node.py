"""Sandboxes that run JavaScript, here or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.errors import UsageError
from sandbox.options import SandboxOptions
from sandbox.sdk.base import Sandbox

if TYPE_CHECKING:
    from sandbox.sdk.local import LocalSandbox
    from sandbox.sdk.remote import RemoteSandbox

_LANGUAGES = ("javascript", "typescript")


class NodeSandbox(Sandbox):
    """A sandbox that runs JavaScript with Node, or TypeScript with `language="typescript"`."""

    @classmethod
    def create_local(cls, name: str | SandboxOptions | None = None, **options: Any) -> LocalSandbox:
        """Return a sandbox on this machine, for `async with` or `await`. See `LocalSandbox`."""
        from sandbox.sdk.local import LocalSandbox  # noqa: PLC0415 - importing one kind must not cost the others

        return LocalSandbox(name, **_of_node(name, options))

    @classmethod
    def create(
        cls,
        server_url: str | None = None,
        api_key: str | None = None,
        name: str | SandboxOptions | None = None,
        **options: Any,
    ) -> RemoteSandbox:
        """Return a sandbox on a server, for `async with` or `await`. See `RemoteSandbox`."""
        from sandbox.sdk.remote import RemoteSandbox  # noqa: PLC0415

        return RemoteSandbox(server_url, api_key, name, **_of_node(name, options))

    create_remote = create


def _of_node(name: str | SandboxOptions | None, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with a language of Node's. Raises UsageError for another one."""
    given = name.language if isinstance(name, SandboxOptions) else "javascript"
    language = options.get("language", given if given in _LANGUAGES else "javascript")
    if language not in _LANGUAGES:
        raise UsageError(f"language={language!r} in a NodeSandbox: it runs {' and '.join(_LANGUAGES)}")
    return {**options, "language": language}
