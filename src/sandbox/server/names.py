"""What a sandbox is called outside and inside: every owner has ids of its own, and nobody learns of another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sandbox.errors import UsageError
from sandbox.ids import checked_session_id
from sandbox.protocol import messages as m

_UNREAD_SECONDS = 600.0
_MOST = 90  # characters, so that the owner fits before it


def inner(owner: str, session: str) -> str:
    """The engine's id of an owner's session. Raises UsageError."""
    if len(checked_session_id(session)) > _MOST:
        raise UsageError(f"session_id={session[:20]!r}... is too long for a server: at most {_MOST} characters")
    return f"{owner}.{session}"


def outer(owner: str, session: str) -> str:
    """The id that the owner knows."""
    return session.removeprefix(f"{owner}.")


def translated(request: Any, owner: str) -> Any:
    """A client's request as the engine takes it. Raises UsageError."""
    changes: dict[str, Any] = {"session": inner(owner, request.session)}
    if isinstance(request, m.Fork):
        changes["ids"] = tuple(inner(owner, one) for one in request.ids)
    if isinstance(request, m.OpenSession):
        changes.update(owner=owner, options=inner_options(request.options, owner))
    if isinstance(request, m.StartTerminal):
        changes["unread"] = _UNREAD_SECONDS  # its client may be gone for good
    if isinstance(request, m.StartWebApp):
        changes["anywhere"] = True  # the ports of the server's own machine are not for its callers to choose
    return msgspec.structs.replace(request, **changes)


def inner_options(options: m.SessionOptions, owner: str) -> m.SessionOptions:
    """The options of an owner's session as the engine takes them. Raises UsageError."""
    if options.files_of is None:
        return options
    return msgspec.structs.replace(options, files_of=inner(owner, options.files_of))


def shown(event: m.Event, owner: str, sessions: tuple[str, ...]) -> m.Event:
    """An event as a client may see it: `sessions` by their own ids, and nothing of the server's file system."""
    replace: Callable[..., m.Event] = msgspec.structs.replace
    match event:
        case m.SessionOpened():
            return replace(event, session=outer(owner, event.session), artifacts_dir="", workspace_dir="")
        case m.ExecutionFinished(artifacts=artifacts) | m.ArtifactsListed(artifacts=artifacts) if artifacts:
            event = replace(event, artifacts=tuple(map(_without_path, artifacts)))
            if isinstance(event, m.ExecutionFinished) and event.animations:
                event = replace(event, animations=tuple(map(_animation, event.animations)))
            return event
        case m.AnimationsListed():
            return replace(event, animations=tuple(map(_animation, event.animations)))
        case m.Failed():
            return replace(event, message=_public(event.message, owner, sessions), details=_details(event, owner))
    return event


def _without_path(one: m.ArtifactInfo) -> m.ArtifactInfo:
    return msgspec.structs.replace(one, path="")


def _animation(one: m.AnimationInfo) -> m.AnimationInfo:
    thumbnail = None if one.thumbnail is None else _without_path(one.thumbnail)
    return msgspec.structs.replace(one, artifact=_without_path(one.artifact), thumbnail=thumbnail)


def _public(text: str, owner: str, sessions: tuple[str, ...]) -> str:
    for one in sessions:
        text = text.replace(inner(owner, one), one)
    return text


def _details(event: m.Failed, owner: str) -> dict[str, Any]:
    hidden = {"holder", "pid", "path"} if event.code.startswith(("session", "store", "start")) else set()
    return {
        name: outer(owner, value) if name == "session" and isinstance(value, str) else value
        for name, value in event.details.items()
        if name not in hidden
    }
