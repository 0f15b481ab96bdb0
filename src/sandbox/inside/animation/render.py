"""Renders scenes: runs the animation's code, has Manim render what was asked for, and puts it into the workspace.

This is the session's own process, as little trusted as its worker. Manim is imported already where the zygote had it.
"""

import contextlib
import glob
import importlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
from typing import Any

from .. import kernel
from . import scenes, trouble, video
from .report import Report

DIRECTORY = "artifacts"
_STILL = (
    "the scene {scene} plays no animation, so there is no {form} of it: add self.play(...) or self.wait() to "
    "construct, or ask for format='png'"
)


def animate(request: "dict[str, Any]", control: int) -> None:
    """Do what the engine asks for, and report how it went. Never raises."""
    report = Report(control)
    try:
        _become_a_program()
        report.send("ready")
        _render(request, report)
        _flush()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the engine has to hear of it
        _flush()
        report.send("failed", error=trouble.describe(error))
    else:
        report.send("done")


def _become_a_program() -> None:
    """From a fork of the zygote, with a worker's ways of showing things, to a plain program."""
    # With whoever forked it: it may be that nothing else would end it.
    kernel.do(kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL), "PR_SET_PDEATHSIG")
    kernel.do(kernel.set_process_name("sandbox-manim"), "prctl")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    sys.stdout, sys.stderr = _stream(1), _stream(2)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())
    tempfile.tempdir = None  # where the zygote's temporary files were is another place
    random.seed()


def _stream(fd: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(fd, "w", closefd=False))
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # it is the code's own, or nobody reads it any more
            stream.flush()


def _render(request: "dict[str, Any]", report: Report) -> None:
    try:
        manim = importlib.import_module("manim")
    except ImportError as error:
        raise trouble.missing(error) from None
    media = os.path.join(tempfile.gettempdir(), "animation")
    shutil.rmtree(media, ignore_errors=True)  # of one that was killed
    manim.config.quality = request["quality"]  # before the code, which may say otherwise
    found = scenes.scenes(scenes.load(request["code"]), manim.Scene)
    wanted = scenes.chosen(found, request["scenes"], request["every"])
    report.send("scenes", names=[one.__name__ for one in wanted])
    try:
        for one in wanted:
            _render_one(manim, one, request["format"], media, report)
    finally:
        shutil.rmtree(media, ignore_errors=True)


def _render_one(manim: Any, scene: Any, form: str, media: str, report: Report) -> None:
    name = scene.__name__
    report.begin(name)
    _configure(manim.config, form, os.path.join(media, name))
    made = scene()
    moments = video.Moments()
    _listen(made.renderer, report, moments)
    try:
        made.render()
    except RuntimeError:
        if report.animation or form == "png":
            raise
        raise trouble.NothingToShow(_STILL.format(scene=name, form=form)) from None  # Manim says it in its own words
    _flush()
    path = _result(os.path.join(media, name), form, name)
    measured = video.measured_still(path) if form == "png" else video.measured(path)
    small = os.path.join(media, "thumbnail.png")
    moments.end()
    moments.save(path, small)
    file = _placed(path, f"{name}.{form}")
    thumbnail = _placed(small, f"{name}-thumbnail.png")
    report.send("rendered", scene=name, file=file, thumbnail=thumbnail, animations=report.animation, **measured)


def _configure(config: Any, form: str, media: str) -> None:
    """After the code has run, which may have set other things than these."""
    still = form == "png"
    values = {
        "media_dir": media, "output_file": None, "disable_caching": True, "progress_bar": "none", "preview": False,
        "verbosity": "WARNING", "dry_run": False, "format": None if still else form, "save_last_frame": still,
        "write_to_movie": not still,
    }  # fmt: skip
    for key, value in values.items():
        setattr(config, key, value)


def _listen(renderer: Any, report: Report, moments: video.Moments) -> None:
    """Hear of each animation, and of frames."""
    play, writer = renderer.play, renderer.file_writer
    write = writer.write_frame

    def playing(scene: Any, *args: Any, **kwargs: Any) -> Any:
        moments.end()
        report.play(", ".join(_named(one) for one in args))
        return play(scene, *args, **kwargs)

    def writing(pixels: Any, *, repeat: int = 1) -> None:
        write(pixels, repeat=repeat)
        moments.see(pixels)
        report.frame(repeat)

    renderer.play, writer.write_frame = playing, writing


def _named(animation: Any) -> str:
    """What an animation is called: `Create(Circle)`."""
    kind = type(animation).__name__
    if kind == "_AnimationBuilder":  # of `mobject.animate`
        return f"{animation.mobject}.animate"
    return str(animation) if type(animation).__module__.startswith("manim.") else kind


def _result(media: str, form: str, name: str) -> str:
    """The file that Manim has made; its name differs from version to version. Raises NothingToShow."""
    every = glob.glob(os.path.join(glob.escape(media), "**", f"*.{form}"), recursive=True)
    found = [path for path in every if "partial_movie_files" not in path]
    if not found:
        raise trouble.NothingToShow(_STILL.format(scene=name, form=form))
    return max(found, key=os.path.getmtime)


def _placed(path: str, name: str) -> str:
    """Move a file into the workspace, in one step; return its path there."""
    os.makedirs(DIRECTORY, exist_ok=True)
    target = os.path.join(DIRECTORY, name)
    beside = f"{target}.part"
    shutil.copyfile(path, beside)
    os.replace(beside, target)
    return target
