"""What there is to know of a finished file, found where it was made: the host decodes no video of a sandbox."""

import importlib
from contextlib import suppress
from typing import Any

_WIDTH = 640
_LOOKED_AT = (0.95, 0.5, 0.75)


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


def thumbnail(path: str, target: str) -> None:
    """Write a small picture of a video or picture: of a few moments the one on which there is most to be seen."""
    if path.endswith(".png"):
        with importlib.import_module("PIL.Image").open(path) as image:
            image.load()
            pictures = [image]
    else:
        pictures = _moments(path)
    best = max(pictures, key=_spread)
    best.thumbnail((_WIDTH, _WIDTH))
    best.save(target, format="PNG")


def _moments(path: str) -> "list[Any]":
    av = importlib.import_module("av")
    with av.open(path) as container:
        stream = container.streams.video[0]
        length = stream.duration or 0
        return [picture for part in _LOOKED_AT if (picture := _at(av, container, stream, int(length * part)))]


def _at(av: Any, container: Any, stream: Any, wanted: int) -> Any:
    """The picture at a time, in the stream's units; the last one before its end otherwise."""
    with suppress(av.FFmpegError):  # formats that cannot be sought in are read on
        container.seek(wanted, stream=stream)
    frame = None
    with suppress(EOFError):
        for frame in container.decode(stream):
            if frame.pts is None or frame.pts >= wanted:
                break
    return None if frame is None else frame.to_image()


def _spread(picture: Any) -> float:
    statistics = importlib.import_module("PIL.ImageStat").Stat(picture.convert("L").resize((64, 36)))
    return float(statistics.stddev[0])
