"""Which Python a session runs, and with which packages: the engine's own, a virtual environment, or one built by uv."""

from __future__ import annotations

import hashlib
import json
import os
import re
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.engine.paths import cache_dir, private
from sandbox.errors import SandboxStartError
from sandbox.protocol.messages import EnvironmentSpec

DEFAULT_WARM = ("numpy", "pandas", "matplotlib.pyplot")
_OLDEST = (3, 11)
_BUILD_SECONDS = 900
_PROBE = "import sys,json; print(json.dumps([sys.version_info[:2], sys.base_prefix, sys.platlibdir]))"


@dataclass(frozen=True)
class Interpreter:
    """An interpreter as a zygote starts it. `roots` are the directories that it needs to see."""

    executable: str
    version: tuple[int, int]
    prefix: str
    roots: tuple[str, ...]
    site_dirs: tuple[str, ...]
    warm: tuple[str, ...] = DEFAULT_WARM

    def __post_init__(self) -> None:
        """Refuse to show a whole home directory or disk, because an interpreter lies at its top."""
        for root in self.roots:
            if os.path.realpath(root) in {"/", "/home", "/root", os.path.realpath(Path.home())}:
                raise SandboxStartError(
                    f"{self.executable} has the prefix {root}, and a sandbox would see everything in it: "
                    "use an interpreter or virtual environment in a directory of its own"
                )


def resolve(spec: EnvironmentSpec) -> Interpreter:
    """Return the interpreter that `spec` asks for, building its environment if it has none yet.

    Blocks for as long as a build takes. Raises SandboxStartError.
    """
    warm = DEFAULT_WARM if spec.warm is None else spec.warm
    if spec.path is not None:
        return _at(Path(spec.path), warm)
    if spec.python is None and not spec.packages:
        return _own(warm)
    return _at(_built(spec), warm)


def _own(warm: tuple[str, ...]) -> Interpreter:
    dirs = [path for path in site.getsitepackages() if os.path.isdir(path)]
    user = site.getusersitepackages()
    if site.ENABLE_USER_SITE and os.path.isdir(user):
        dirs.append(user)
    roots = dict.fromkeys([*_interpreter_roots(sys.base_prefix, sys.executable), sys.prefix, *dirs])
    return Interpreter(sys.executable, sys.version_info[:2], sys.prefix, tuple(roots), tuple(dirs), warm)


def _at(path: Path, warm: tuple[str, ...]) -> Interpreter:
    """The virtual environment at `path`, which may also be its interpreter."""
    path = path.expanduser().absolute()
    executable = path / "bin" / "python" if path.is_dir() else path
    if not os.access(executable, os.X_OK):
        raise SandboxStartError(f"environment {str(path)!r} is not a virtual environment: there is no {executable}")
    # -I -S: nothing that the environment holds is run on the host, only the interpreter itself.
    answer = subprocess.run(
        [executable, "-I", "-S", "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False
    )
    if answer.returncode != 0:
        raise SandboxStartError(f"the interpreter {executable} does not run: {answer.stderr.strip()[-500:]}")
    version, base, libdir = json.loads(answer.stdout)
    if tuple(version) < _OLDEST:
        raise SandboxStartError(f"{executable} is Python {version[0]}.{version[1]}; sessions need 3.11 or later")
    prefix = executable.parent.parent
    site_dir = prefix / libdir / f"python{version[0]}.{version[1]}" / "site-packages"
    site_dirs = tuple(str(d) for d in (site_dir, *_system_site(prefix, base, version)) if d.is_dir())
    roots = dict.fromkeys([*_interpreter_roots(base, str(executable)), str(prefix)])
    return Interpreter(str(executable), tuple(version), str(prefix), tuple(roots), site_dirs, warm)


def _system_site(prefix: Path, base: str, version: list[int]) -> list[Path]:
    """The base interpreter's packages, for a virtual environment made with --system-site-packages or none at all."""
    config = prefix / "pyvenv.cfg"
    if config.exists() and not re.search(r"(?mi)^include-system-site-packages\s*=\s*true", config.read_text("utf-8")):
        return []
    name = f"python{version[0]}.{version[1]}"
    return [Path(base, "lib", name, "site-packages"), Path("/usr/local/lib", name, "dist-packages"),
            Path("/usr/lib/python3/dist-packages")]  # fmt: skip


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
    content = json.dumps([python, sorted(spec.packages), spec.allow_source_builds, os.uname().machine])
    target = private(cache_dir() / "environments") / hashlib.sha256(content.encode()).hexdigest()[:32]
    if not (target / "complete").exists():
        _build(spec, python, target)
    return target / "venv"


def _build(spec: EnvironmentSpec, python: str, target: Path) -> None:
    uv = _uv()
    building = target.with_name(f"{target.name}.{os.getpid()}")
    private(building)
    try:
        _uv_run([uv, "venv", "--no-project", "--relocatable", "--python", python, str(building / "venv")])
        if spec.packages:
            command = [uv, "pip", "install", "--compile-bytecode", "--python", str(building / "venv")]
            if not spec.allow_source_builds:
                command += ["--only-binary", ":all:"]
            _uv_run([*command, "--", *spec.packages])
        (building / "complete").touch()
        if not target.exists():
            building.rename(target)
    finally:
        if building.exists():
            subprocess.run(["/bin/rm", "-rf", "--", str(building)], check=True)


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
            "building an environment takes uv, which is not installed: pip install 'enhanced-sandbox[environments]'",
            {"missing": "uv"},
        )
    return found


def _uv_run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    if done.returncode != 0:
        hint = ""
        if "no-build" in done.stderr or "only-binary" in done.stderr or "no usable wheels" in done.stderr:
            hint = "\nOnly wheels are installed; Environment(allow_source_builds=True) permits building from source."
        raise SandboxStartError(f"uv could not build the environment:\n{done.stderr.strip()[-4000:]}{hint}")
