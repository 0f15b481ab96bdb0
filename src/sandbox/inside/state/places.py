"""Paths of the workspace, as from there: without a mount namespace it lies elsewhere for each worker."""

import os
from typing import Any

from .pickler import Context


def place_of(path: Any) -> Any:
    """A path that is below the workspace as that, any other thing as it is."""
    home = Context.home.rstrip("/")
    if isinstance(path, str) and (path == home or path.startswith(f"{home}/")):
        return (True, os.path.relpath(path, home))
    return (False, path)


def path_at(place: "tuple[bool, Any]") -> Any:
    """The way back, wherever the workspace is now."""
    at_home, path = place
    return os.path.normpath(os.path.join(Context.home, path)) if at_home else path
