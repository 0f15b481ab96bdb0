"""What can go wrong with an animation, in the words of who wrote its code: their lines, and what to do."""

import os
import traceback
from types import TracebackType
from typing import Any

from ..python import failures

FILE = "<animation>"
"""What the code is called in tracebacks."""


class Trouble(Exception):
    """Base of what is said here rather than by Python or Manim."""

    def __init_subclass__(cls) -> None:
        """Let tracebacks show the plain name, as of Python's own."""
        cls.__module__ = "builtins"


class ManimMissing(Trouble):
    """Manim cannot be imported."""


class NoScene(Trouble):
    """The code has nothing to render."""


class SceneNotFound(Trouble):
    """The code has no scene of the name that was asked for."""


class SceneAmbiguous(Trouble):
    """The code has several scenes, and none was named."""


class NothingToShow(Trouble):
    """A scene has no animation, so there is no video of it."""


class LatexMissing(Trouble):
    """A formula needs LaTeX, which is not there."""


_LATEX = (
    "LaTeX is not installed, which Tex and MathTex need ({program!r} was not found). Text and MathTypst work without "
    'it, for example MathTypst("x^2 / 2") in the syntax of Typst. For LaTeX: apt-get install texlive-latex-base '
    "texlive-latex-extra dvisvgm, on the machine that runs the sandbox."
)
_OF_MANIMGL = {"manimlib", "manim_imports_ext"}
_PROGRAMS = {"latex", "pdflatex", "xelatex", "lualatex", "luatex", "dvisvgm"}


def missing(error: ImportError) -> ManimMissing:
    """Manim, or a library that it needs, is not there."""
    if isinstance(error, ModuleNotFoundError) and error.name == "manim":
        what = "Manim is not installed where the sandbox has its packages from"
    else:
        what = f"Manim cannot be imported: {error}"
    return ManimMissing(
        f"{what}: `pip install 'enhanced-sandbox[manim]'` there, or name manim in environment=. "
        "It is built from source and needs apt-get install libcairo2-dev libpango1.0-dev pkg-config gcc python3-dev"
    )


def describe(error: BaseException) -> dict[str, Any]:
    """The error as the engine takes it: with the frames of the user's code alone, where there are some."""
    shown = _explained(error)
    for link in failures._chain(shown):
        link.__traceback__ = _users(link.__traceback__) or link.__traceback__
    told = failures.describe(shown)
    if isinstance(shown, Trouble) and not isinstance(shown, LatexMissing):
        told["traceback"] = ""  # it is about the code as a whole
    return told


def _explained(error: BaseException) -> BaseException:
    if isinstance(error, FileNotFoundError) and error.filename in _PROGRAMS and _through_manim(error):
        return LatexMissing(_LATEX.format(program=error.filename)).with_traceback(error.__traceback__)
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in {
        "manimlib",
        "manim_imports_ext",
    }:
        error.add_note("That is ManimGL. Here is Manim Community: from manim import *")
    return error


def _through_manim(error: BaseException) -> bool:
    return any(f"{os.sep}manim{os.sep}" in frame.filename for frame in traceback.extract_tb(error.__traceback__))


def _users(trace: "TracebackType | None") -> "TracebackType | None":
    """The frames of the animation's code, and of modules in the workspace."""
    here = os.getcwd() + os.sep
    kept = []
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name == FILE or name.startswith(here):
            kept.append(trace)
        trace = trace.tb_next
    result = None
    for one in reversed(kept):
        result = TracebackType(result, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return result
