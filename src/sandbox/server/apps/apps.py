"""The web apps of the server's sandboxes: which one a host name means, and what it is told to callers as."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from sandbox.engine.engine import Engine
from sandbox.protocol import messages as m
from sandbox.server.apps.urls import Pattern, Urls

NOT_THERE = "There is no web app here: it has ended, or its address has expired. Whoever started it can get another.\n"


VISITORS_HEADER = "e2b-traffic-access-token"
"""The header of a visitor who has to say more than a name. No app gets to see it."""


class Visit(msgspec.Struct, frozen=True):
    """Somebody may visit what listens inside for so many seconds, on connections that `open` makes."""

    open: Callable[[], AbstractAsyncContextManager[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
    seconds: float


Finder = Callable[[str, str | None], Visit | None]
"""Says what else a name below the domain of apps means, to a visitor with this token."""


class Apps:
    """The urls of one server, for the apps of its engine."""

    def __init__(self, engine: Engine, urls: Urls) -> None:
        self._sessions, self._urls = engine.sessions, urls
        self._others: list[Finder] = []

    def also(self, find: Finder) -> None:
        """Have names that are no app's be looked for here."""
        self._others.append(find)

    @property
    def pattern(self) -> Pattern:
        """Where apps are reached."""
        return self._urls.pattern

    def is_meant(self, host: str) -> bool:
        """Whether a Host header has an app's name, and not the server's."""
        return self._urls.pattern.label(host) is not None

    def find(self, host: str, token: str | None) -> Visit | None:
        """The app that a Host header means, if its url is good and it was not stopped."""
        label = self._urls.pattern.label(host) or ""
        signed = self._urls.read(label)
        if signed is None:
            return next((found for one in self._others if (found := one(label, token)) is not None), None)
        app = self._sessions.apps.get(signed.app)
        return None if app is None else Visit(app.visits.visit, signed.until - time.time())

    def shown(self, event: m.WebAppsListed) -> m.WebAppsListed:
        """Apps as callers may know them: by their urls, and without the server's paths."""
        return msgspec.structs.replace(event, apps=tuple(self._shown(one) for one in event.apps))

    def _shown(self, info: m.WebAppInfo) -> m.WebAppInfo:
        app = self._sessions.apps.get(info.id)
        url = "" if app is None else self._urls.make(info.id, app.made_at)
        return msgspec.structs.replace(
            info, url=url, log_artifact=_without_path(info.log_artifact), screenshot=_without_path(info.screenshot)
        )


def _without_path(artifact: m.ArtifactInfo | None) -> m.ArtifactInfo | None:
    return None if artifact is None else msgspec.structs.replace(artifact, path="")
