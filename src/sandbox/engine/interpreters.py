"""Which Python a session runs, and with which packages: the engine's own, a virtual environment, or one built by uv."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from sandbox.engine import node
from sandbox.engine.paths import cache_dir, private
from sandbox.errors import SandboxStartError, UsageError
from sandbox.inside import tidy
from sandbox.protocol.messages import EnvironmentSpec

DEFAULT_WARM = ("numpy", "pandas", "matplotlib.pyplot")
_OLDEST = (3, 11)
_PROBE_SECONDS = 30
_BUILD_SECONDS = 900
_SOURCE_REFUSED = ("--no-build", "no usable wheels", "Building source distributions is disabled")
_PROBE = (
    "import sys, json; print(json.dumps([list(sys.version_info[:2]), sys.base_prefix, sys.platlibdir, sys.executable]))"
)


class Interpreter(Struct, frozen=True):
    """An interpreter as a zygote starts it. `roots` are the directories that it needs to see.

    With `node` its workers are that program's, and it only starts them.
    """

    executable: str
    version: tuple[int, int]
    prefix: str
    roots: tuple[str, ...]
    site_dirs: tuple[str, ...]
    warm: tuple[str, ...] = DEFAULT_WARM
    node: node.Node | None = None

    def __post_init__(self) -> None:
        """Refuse to show a whole home directory or disk, because an interpreter lies at its top."""
        for root in self.roots:
            if _holds_homes(os.path.realpath(root)):
                raise SandboxStartError(
                    f"{self.executable} has the prefix {root}, and a sandbox would see everything in it: "
                    "use an interpreter or virtual environment in a directory of its own"
                )


def _holds_homes(root: str) -> bool:
    """Whether `root` is a home directory or above one. /usr is shown anyway, whatever lies in it."""
    home = Path.home().resolve()
    return root in {"/", "/home", "/root"} or (root != "/usr" and home.is_relative_to(root))


def resolve_node(spec: EnvironmentSpec) -> Interpreter:
    """Return an interpreter whose workers run the Node that `spec` names. Raises SandboxStartError, UsageError."""
    found, own = node.find(spec), _own(())
    return msgspec.structs.replace(own, roots=tuple(dict.fromkeys((*own.roots, found.root))), node=found)


def resolve(spec: EnvironmentSpec) -> Interpreter:
    """Return the interpreter that `spec` asks for, building its environment if it has none yet.

    Blocks for as long as a build takes. Raises SandboxStartError, UsageError.
    """
    warm = DEFAULT_WARM if spec.warm is None else spec.warm
    if spec.path is not None:
        return _at(Path(spec.path), warm)
    if spec.python is None and not spec.packages:
        return _own(warm)
    return _at(_built(spec), warm)


def _own(warm: tuple[str, ...]) -> Interpreter:
    if not sys.executable:
        raise SandboxStartError("this Python does not know its own executable: name one with environment=")
    dirs = [path for path in site.getsitepackages() if os.path.isdir(path)]
    user = site.getusersitepackages()
    if site.ENABLE_USER_SITE and os.path.isdir(user):
        dirs.append(user)
    roots = dict.fromkeys([*_interpreter_roots(sys.base_prefix, sys.executable), sys.prefix, *dirs])
    return Interpreter(sys.executable, sys.version_info[:2], sys.prefix, tuple(roots), tuple(dirs), warm)


def _at(path: Path, warm: tuple[str, ...]) -> Interpreter:
    """The virtual environment at `path`, which may also be an interpreter."""
    path = path.expanduser().absolute()
    executable = _executable(path)
    version, base, libdir, itself = _probe(executable)
    if version < _OLDEST:
        raise SandboxStartError(f"{executable} is Python {version[0]}.{version[1]}; sessions need 3.11 or later")
    prefix = _environment_of(executable)
    if prefix is None:
        # Not in an environment: the path may be a link or a script somewhere else, which the sandbox does not see.
        executable, prefix = Path(os.path.realpath(itself)), Path(base)
    name = f"python{version[0]}.{version[1]}"
    site_dirs = (prefix / libdir / name / "site-packages", *_system_site(prefix, base, name))
    roots = dict.fromkeys([*_interpreter_roots(base, str(executable)), str(prefix)])
    existing = tuple(dict.fromkeys(str(directory) for directory in site_dirs if directory.is_dir()))
    return Interpreter(str(executable), version, str(prefix), tuple(roots), existing, warm)


def _executable(path: Path) -> Path:
    if path.is_dir():
        candidates = [path / "bin" / "python", path / "bin" / "python3"]
        what = "not a virtual environment: there is no bin/python in it"
    else:
        candidates = [path]
        if not path.exists():
            raise UsageError(f"environment={str(path)!r} is not there", {"path": str(path)})
        what = "not a program that can be run"
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    raise SandboxStartError(f"environment {str(path)!r} is {what}", {"path": str(path)})


def _environment_of(executable: Path) -> Path | None:
    """The virtual environment that an interpreter belongs to, by the rule that it follows itself."""
    for directory in (executable.parent, executable.parent.parent):
        if (directory / "pyvenv.cfg").is_file():
            return directory
    return None


def _probe(executable: Path) -> tuple[tuple[int, int], str, str, str]:
    """Ask an interpreter for its version, its base prefix, the name of its library directory, and its own path."""
    # -I -S: nothing that the environment holds is run on the host, only the interpreter itself.
    command = [str(executable), "-I", "-S", "-c", _PROBE]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PROBE_SECONDS, check=False
        )
        if answer.returncode != 0:
            raise SandboxStartError(f"the interpreter {executable} does not run: {answer.stderr.strip()[-500:]}")
        (major, minor), base, libdir, itself = json.loads(answer.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxStartError(f"the interpreter {executable} does not run: {error}") from error
    except (ValueError, TypeError) as error:
        raise SandboxStartError(f"{executable} is not a Python interpreter: it answers something else") from error
    return (int(major), int(minor)), str(base), str(libdir), str(itself)


def _system_site(prefix: Path, base: str, name: str) -> list[Path]:
    """The base interpreter's packages, for a virtual environment made with --system-site-packages or none at all."""
    config = prefix / "pyvenv.cfg"
    if config.exists() and not re.search(r"(?mi)^include-system-site-packages\s*=\s*true", config.read_text("utf-8")):
        return []
    # Debian keeps the packages of its own Python elsewhere, and they are built for that one.
    debian = [Path("/usr/local/lib", name, "dist-packages"), Path("/usr/lib/python3/dist-packages")]
    return [Path(base, "lib", name, "site-packages"), *(debian if base == "/usr" else [])]


def _interpreter_roots(base_prefix: str, executable: str) -> list[str]:
    """Where the interpreter and its libraries lie. In a store of immutable paths they are spread over it."""
    real = os.path.realpath(executable)
    for store in ("/nix/store", "/gnu/store"):
        if real.startswith(f"{store}/"):
            return [store]
    home = str(Path(real).parent.parent)
    return [base_prefix] if home == "/" else [base_prefix, home]


# --- building -------------------------------------------------------------------------------------------------------


def _built(spec: EnvironmentSpec) -> Path:
    """Return the environment with these packages, built by uv once and kept by what it is made of."""
    python = spec.python or sys.executable
    version = sys.version if spec.python is None else ""  # an interpreter may be replaced at the same path
    content = json.dumps(
        [python, version, sorted(set(spec.packages)), spec.allow_source_builds, os.uname().machine, os.geteuid()]
    )
    import hashlib  # noqa: PLC0415 - only where an environment is built

    target = private(cache_dir() / "environments") / hashlib.sha256(content.encode()).hexdigest()[:32]
    if not (target / "complete").exists():
        with _locked(target.with_name(f"{target.name}.lock")):
            # Somebody else may have built it while we waited for the lock.
            if not (target / "complete").exists():
                _build(spec, python, target)
    return target / "venv"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for it, and take its file away afterwards."""
    while True:
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                break
        os.close(fd)  # who had it before us has taken the file away
    try:
        yield
    finally:
        path.unlink()
        os.close(fd)


def _build(spec: EnvironmentSpec, python: str, target: Path) -> None:
    """Build beside the target and rename: whatever is there under its name is whole. The caller holds its lock."""
    uv = _uv()
    building = target.with_name(f"{target.name}.building")
    for left in (building, target):
        tidy.remove_tree(str(left))
    venv = str(private(building) / "venv")
    try:
        _uv_run([uv, "venv", "--quiet", "--no-project", "--relocatable", "--python", python, venv])
        if spec.packages:
            command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", venv]
            if not spec.allow_source_builds:
                command += ["--only-binary", ":all:"]
            _uv_run([*command, "--", *spec.packages])
        (building / "complete").touch()
        building.rename(target)
    except BaseException:
        tidy.remove_tree(str(building))
        raise


def _uv() -> str:
    try:
        import uv  # noqa: PLC0415 - an optional dependency

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        pass
    from shutil import which  # noqa: PLC0415

    found = which("uv")
    if found is None:
        raise SandboxStartError(
            "building an environment takes uv, which is not installed: pip install uv",
            {"missing": "uv"},
        )
    return found


def _uv_run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SandboxStartError(f"uv did not build the environment in {_BUILD_SECONDS} s") from error
    if done.returncode != 0:
        said = done.stderr.strip()
        hint = ""
        if any(
            text in said for text in ("--no-build", "no usable wheels", "Building source distributions is disabled")
        ):
            hint = "\nOnly wheels are installed; Environment(allow_source_builds=True) permits building from source."
        raise SandboxStartError(f"uv could not build the environment:\n{said[-4000:]}{hint}")
