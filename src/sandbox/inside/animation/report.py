"""What the engine hears of a rendering while it goes on: frames on the control socket, as a worker's events."""

import os
import time
from typing import Any

from ..wire import frames

_PAUSE = 0.25
_MOST_NAME = 200


class Report:
    """`scene` is set before each scene. The encoder of a video has threads, which do not report."""

    def __init__(self, control: int) -> None:
        self._control = control
        self._owner = os.getpid()
        self.scene = ""
        self.animation = 0
        self.frames = 0
        self._name = ""
        self._told = 0.0

    def send(self, event: str, **values: Any) -> None:
        """Send one event, unless this is a process that the code has forked."""
        if os.getpid() != self._owner:
            return
        view = memoryview(frames.encode({"event": event, **values}))
        while view:
            view = view[os.write(self._control, view) :]

    def begin(self, scene: str) -> None:
        """A scene begins."""
        self.scene, self.animation, self.frames = scene, 0, 0
        self._tell("")

    def play(self, name: str) -> None:
        """An animation of the scene begins."""
        self.animation += 1
        self._tell(name)

    def frame(self, count: int) -> None:
        """Some frames more are there."""
        self.frames += count
        if time.monotonic() - self._told > _PAUSE:
            self._tell(self._name)

    def _tell(self, name: str) -> None:
        self._name, self._told = name[:_MOST_NAME].encode("utf-8", "replace").decode(), time.monotonic()
        self.send("progress", scene=self.scene, animation=self.animation, name=self._name, frames=self.frames)
