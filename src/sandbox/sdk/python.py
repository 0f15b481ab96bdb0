"""Python sandboxes, here or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.sdk.base import Sandbox

if TYPE_CHECKING:
    from sandbox.options import SandboxOptions
    from sandbox.sdk.local import LocalSandbox
    from sandbox.sdk.remote import RemoteSandbox


class PythonSandbox(Sandbox):
    """A sandbox that runs Python."""

    @classmethod
    def create_local(cls, name: str | SandboxOptions | None = None, **options: Any) -> LocalSandbox:
        """Return a sandbox on this machine, for `async with` or `await`. See `LocalSandbox`."""
        from sandbox.sdk.local import LocalSandbox  # noqa: PLC0415 - it is a subclass

        return LocalSandbox(name, **options)

    @classmethod
    def create_remote(
        cls,
        server_url: str | None = None,
        api_key: str | None = None,
        name: str | SandboxOptions | None = None,
        **options: Any,
    ) -> RemoteSandbox:
        """Return a sandbox on a server, for `async with` or `await`. See `RemoteSandbox`."""
        from sandbox.sdk.remote import RemoteSandbox  # noqa: PLC0415 - it is a subclass

        return RemoteSandbox(server_url, api_key, name, **options)
