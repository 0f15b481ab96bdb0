"""What there is to know of a finished file, found where it was made: the host decodes no video of a sandbox."""

import importlib
from typing import Any

_WIDTH = 640
_STEP = 8  # pixels between those that are looked at


def measured(path: str) -> dict[str, Any]:
    """Width, height, frames a second, frames and seconds of a video."""
    av = importlib.import_module("av")
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = sum(1 for packet in container.demux(stream) if packet.size)
        rate = float(stream.average_rate or 0)
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration:
            seconds = container.duration / av.time_base
        else:
            seconds = frames / rate if rate else 0.0
        return {"width": stream.width, "height": stream.height, "fps": rate, "frames": frames, "duration": seconds}


def measured_still(path: str) -> dict[str, Any]:
    """The same of a picture."""
    with importlib.import_module("PIL.Image").open(path) as image:
        return {"width": image.width, "height": image.height, "fps": 0.0, "frames": 1, "duration": 0.0}


class Moments:
    """Of the frames with which animations end, the one on which there is most to be seen."""

    def __init__(self) -> None:
        self._last: Any = None
        self._best: Any = None
        self._most = -1.0

    def see(self, pixels: Any) -> None:
        """Take the next frame, an array of rows of pixels, which nobody changes any more."""
        self._last = pixels

    def end(self) -> None:
        """An animation is over."""
        if self._last is not None and (spread := float(self._last[::_STEP, ::_STEP, :3].std())) >= self._most:
            self._best, self._most = self._last, spread

    def save(self, path: str, target: str) -> None:
        """Write a small picture of it; of the picture at `path`, where there was no frame."""
        module = importlib.import_module("PIL.Image")
        if self._best is None:
            with module.open(path) as image:
                image.load()
        else:
            image = module.fromarray(self._best)
        image = image.convert("RGB")
        image.thumbnail((_WIDTH, _WIDTH))
        image.save(target, format="PNG", compress_level=1)
