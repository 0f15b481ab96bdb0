"""What the engine does for each request: the only dispatch.

An operation is a message, a function in one of these modules and a method of the SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from sandbox.engine.answers import Answer
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.sessions import Sessions

Emit = Answer
Handlers = dict[type[m.Request], Callable[["Sessions", Any, Emit], Coroutine[Any, Any, m.LastEvent]]]


def all_handlers() -> Handlers:
    """Every request and what answers it."""
    from sandbox.engine.handlers import (  # noqa: PLC0415
        animations,
        commands,
        executions,
        files,
        network,
        past,
        sessions,
        timeline,
        web,
    )

    return {
        **sessions.HANDLERS,
        **executions.HANDLERS,
        **commands.HANDLERS,
        **files.HANDLERS,
        **past.HANDLERS,
        **timeline.HANDLERS,
        **web.HANDLERS,
        **animations.HANDLERS,
        **network.HANDLERS,
    }
