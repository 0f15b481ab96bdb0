"""What all requests and events are, and the two answers that any request may have."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct


class Request(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """Base of all requests."""


class Event(Struct, frozen=True, tag_field="event"):
    """Base of all events. `last` tells whether one ends the answer."""

    last: ClassVar[bool] = False


class LastEvent(Event, frozen=True):
    """Base of the events that end an answer."""

    last: ClassVar[bool] = True


class Done(LastEvent, frozen=True, tag="done"):
    """The request was carried out and there is nothing to say."""


class Failed(LastEvent, frozen=True, tag="failed"):
    """The request was not carried out. `code` is one of `sandbox.errors`."""

    code: str
    message: str
    details: dict[str, Any] = {}
