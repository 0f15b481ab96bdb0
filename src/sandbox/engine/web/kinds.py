"""What is run for an app of each type."""

from __future__ import annotations

import os

from msgspec import Struct

from sandbox.engine import view
from sandbox.errors import UsageError

FRAMEWORKS = ("flask", "fastapi", "streamlit", "dash", "gradio")
HTTP = "http"
KINDS = (*FRAMEWORKS, HTTP)
MISSING, CHECK_FAILED = 69, 70  # as in inside/web
_EXTRA = {"flask": "enhanced-sandbox[web]", "fastapi": "enhanced-sandbox[web]", "streamlit": "enhanced-sandbox[web]"}
_PACKAGES = {"fastapi": "fastapi uvicorn"}
# Nothing that would ask a network, which there is none of, and no page that waits for a question in a terminal.
_VARIABLES = {
    "PYTHONUNBUFFERED": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "STREAMLIT_SERVER_HEADLESS": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "STREAMLIT_LOGGER_ENABLE_RICH": "false",  # colours and frames for a terminal, where rich is installed
}
_MAIN_FILES = ("app.py", "main.py", "streamlit_app.py", "server.py", "__main__.py")


class Spec(Struct, frozen=True):
    """What an app runs: a file of the workspace, or a command, in a directory of it."""

    name: str
    kind: str
    port: int
    path: str | None = None
    command: tuple[str, ...] = ()
    directory: str = "."
    env: dict[str, str] = {}
    restore: bool = False
    hosts: tuple[str, ...] = ()
    anywhere: bool = False


def program(spec: Spec, python: str, port: int) -> tuple[str, ...]:
    """The command line that serves the app on `port` inside."""
    if spec.command:
        return spec.command
    path = _from(spec.directory, spec.path or "")
    if spec.kind == HTTP:
        return (python, path)
    return (python, f"{view.INSIDE}/web/launch.py", spec.kind, str(port), path)


def check(spec: Spec, python: str, seconds: float) -> tuple[str, ...]:
    """The command line that finds what the app's server would not tell of; none for most types."""
    if spec.kind != "streamlit" or spec.path is None:
        return ()
    return (python, f"{view.INSIDE}/web/check_streamlit.py", f"{seconds:g}", _from(spec.directory, spec.path))


def variables(spec: Spec, port: int) -> dict[str, str]:
    """The environment variables that an app has besides those of every program."""
    return {**_VARIABLES, "PORT": str(port), "HOST": "127.0.0.1", **spec.env}


def health_path(spec: Spec) -> str:
    """What is asked for to see whether the app answers."""
    return "/_stcore/health" if spec.kind == "streamlit" else "/"


def missing(spec: Spec) -> str:
    """What to do where the framework is not installed."""
    wanted = _EXTRA.get(spec.kind)
    packages = _PACKAGES.get(spec.kind, spec.kind)
    here = f"pip install '{wanted}'" if wanted else f"pip install {packages}"
    return f"`{here}` where sandboxes have the packages of this program, or name {packages} in environment="


def place(path: str, is_directory: bool, files: set[str]) -> tuple[str, str]:
    """The directory that an app runs in, and its file. Raises UsageError if a directory has none of the usual ones."""
    if not is_directory:
        return ".", path
    for name in _MAIN_FILES:
        if name in files:
            return path, os.path.normpath(os.path.join(path, name))
    raise UsageError(f"{path!r} has none of the files {', '.join(_MAIN_FILES)}: name the one to run")


def _from(directory: str, path: str) -> str:
    return os.path.relpath(path, directory)
