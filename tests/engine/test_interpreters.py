"""Which Python runs, and environments built with uv: once, whole or not at all, and never from source by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine import interpreters
from sandbox.engine.interpreters import DEFAULT_WARM, Interpreter, resolve
from sandbox.errors import SandboxStartError
from sandbox.protocol.messages import EnvironmentSpec

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def make_venv(path: Path, *, system: bool = False) -> Path:
    venv.create(path, system_site_packages=system, symlinks=True)
    return path


def at(path: Path | str) -> Interpreter:
    return resolve(EnvironmentSpec(path=str(path)))


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


# --- the engine's own, and what a path names ------------------------------------------------------------------------


def test_without_a_wish_the_engines_own_python_runs() -> None:
    own = resolve(EnvironmentSpec())
    assert own.executable == sys.executable
    assert own.version == sys.version_info[:2]
    assert own.prefix == sys.prefix
    assert own.warm == DEFAULT_WARM
    assert sys.base_prefix in own.roots
    assert sys.prefix in own.roots
    assert any(Path(path, "msgspec").is_dir() for path in own.site_dirs)


def test_the_warm_list_is_kept(tmp_path: Path) -> None:
    assert resolve(EnvironmentSpec(warm=("json",))).warm == ("json",)
    assert resolve(EnvironmentSpec(warm=())).warm == ()
    assert resolve(EnvironmentSpec(path=str(make_venv(tmp_path / "v")), warm=("json",))).warm == ("json",)


@pytest.mark.parametrize("inner", ["", "bin/python", "bin/python3"])
def test_a_virtual_environment_is_named_by_its_directory_or_its_python(tmp_path: Path, inner: str) -> None:
    environment = make_venv(tmp_path / "v")
    found = at(environment / inner)
    assert found.executable == str(environment / (inner or "bin/python"))
    assert found.prefix == str(environment)
    assert found.site_dirs == (str(environment / "lib" / VERSION / "site-packages"),)
    assert {str(environment), sys.base_prefix} <= set(found.roots)


def test_a_virtual_environment_may_see_the_systems_packages(tmp_path: Path) -> None:
    found = at(make_venv(tmp_path / "v", system=True))
    base = Path(sys.base_prefix, "lib", VERSION, "site-packages")
    assert not base.is_dir() or str(base) in found.site_dirs
    assert found.site_dirs[0] == str(tmp_path / "v" / "lib" / VERSION / "site-packages")


def test_an_interpreter_that_is_in_no_environment_has_its_own_prefix(tmp_path: Path) -> None:
    """Also by way of a link or a script, neither of which a sandbox could see."""
    link = tmp_path / "bin" / "python"
    link.parent.mkdir()
    link.symlink_to(os.path.realpath(sys.executable))
    script = program(tmp_path / "shims" / "python", f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} "$@"\n')
    for path in (os.path.realpath(sys.executable), link, script):
        found = at(path)
        assert found.prefix == sys.base_prefix
        assert found.executable == os.path.realpath(sys.executable)
        assert str(tmp_path) not in found.roots


def test_a_path_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv(tmp_path / "home" / "v")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert at("~/v").prefix == str(tmp_path / "home" / "v")


def test_debians_packages_are_for_debians_python_only(tmp_path: Path) -> None:
    found = at(os.path.realpath(sys.executable))
    assert sys.base_prefix == "/usr" or not any("dist-packages" in path for path in found.site_dirs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "is not a virtual environment: there is no bin/python in it"),
        (lambda path: (path / "file").write_text("x") and path / "file", "is not a program that can be run"),
        (lambda path: program(path / "bin" / "python", "#!/bin/sh\necho hello\n"), "is not a Python interpreter"),
        (lambda path: program(path / "bin" / "python", "#!/bin/sh\necho '[1, 2]'\n"), "is not a Python interpreter"),
        (lambda path: program(path / "bin" / "python", "#!/bin/sh\necho oops >&2; exit 3\n"), "does not run: oops"),
        (lambda path: program(path / "bin" / "python", "#!/no/such/program\n"), "does not run: .*No such file"),
        (lambda path: program(path / "bin" / "python", "\0\1\2"), "does not run: .*Exec format error"),
        (
            lambda path: program(
                path / "bin" / "python", """#!/bin/sh\necho '[[3, 10], "/x", "lib", "/x/python"]'\n"""
            ),
            "is Python 3.10; sessions need 3.11 or later",
        ),
    ],
)
def test_what_is_no_python_of_ours_is_refused_with_the_reason(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(SandboxStartError, match=message):
        at(make(tmp_path))


def test_an_interpreter_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "_PROBE_SECONDS", 0.2)
    with pytest.raises(SandboxStartError, match=r"does not run: .*timed out"):
        at(program(tmp_path / "bin" / "python", "#!/bin/sh\nexec sleep 60\n"))


def test_nothing_of_an_environment_runs_on_the_host(tmp_path: Path) -> None:
    """Neither sitecustomize, nor a .pth file, nor what lies beside."""
    environment = make_venv(tmp_path / "v")
    packages = environment / "lib" / VERSION / "site-packages"
    code = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    (packages / "sitecustomize.py").write_text(code)
    (packages / "evil.pth").write_text(f"import os; {code}\n")
    (environment / "json.py").write_text(code)
    at(environment)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", [".", "below"])
def test_a_home_directory_is_never_shown_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Nor a directory with homes in it."""
    environment = make_venv(tmp_path / "v")
    monkeypatch.setenv("HOME", str(environment / place))
    (environment / place).mkdir(exist_ok=True)
    with pytest.raises(SandboxStartError, match="a sandbox would see everything in it: use an interpreter or virtual"):
        at(environment)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert at(environment).prefix == str(environment)


def test_the_root_directory_is_never_shown() -> None:
    for root in ("/", "/home", "/root", "/home/../"):
        with pytest.raises(SandboxStartError, match="a sandbox would see everything"):
            Interpreter("/bin/python", (3, 11), root, (root,), ())


# --- built environments ---------------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of built environments, with uv's cache and configuration kept out of the way."""
    pytest.importorskip("uv")
    monkeypatch.setenv("SANDBOX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    return tmp_path / "home" / "cache" / "environments"


@pytest.fixture
def wheel(tmp_path: Path) -> str:
    """A requirement that a tiny wheel on this machine satisfies."""
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tiny.py", "ANSWER = 42\n")
        file.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        file.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(
            "tiny-1.0.dist-info/RECORD",
            "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n",
        )
    return f"tiny @ {path.as_uri()}"


@pytest.fixture
def project(tmp_path: Path) -> str:
    """A requirement that only building from source satisfies."""
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "project"\nversion = "1"\n'
    )
    (directory / "backend.py").write_text(f"open({str(tmp_path / 'ran on the host')!r}, 'w').close()\n")
    return f"project @ {directory.as_uri()}"


def test_an_environment_is_built_with_its_packages_and_cached(
    built: Path, wheel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve(EnvironmentSpec(packages=(wheel,)))
    assert Path(first.prefix).parent.parent == built
    answer = subprocess.run(
        [first.executable, "-c", "import tiny; print(tiny.ANSWER)"], capture_output=True, check=True
    )
    assert answer.stdout == b"42\n"
    assert [path.name for path in Path(first.site_dirs[0]).glob("__pycache__/tiny*")] != []
    monkeypatch.setattr(interpreters, "_uv_run", lambda _: pytest.fail("uv was called again"))
    assert resolve(EnvironmentSpec(packages=(wheel,))) == first
    assert resolve(EnvironmentSpec(packages=(wheel, wheel), warm=("tiny",))).prefix == first.prefix
    assert [path.name for path in built.iterdir()] == [Path(first.prefix).parent.name]


def test_a_python_can_be_named_without_packages(built: Path) -> None:
    found = resolve(EnvironmentSpec(python=sys.executable))
    assert found.version == sys.version_info[:2]
    assert Path(found.prefix).is_relative_to(built)


def test_what_differs_has_an_environment_of_its_own(built: Path, wheel: str) -> None:
    specs = [
        EnvironmentSpec(packages=(wheel,)),
        EnvironmentSpec(python=sys.executable),
        EnvironmentSpec(python=sys.executable, packages=(wheel,)),
        EnvironmentSpec(packages=(wheel,), allow_source_builds=True),
    ]
    assert len({resolve(spec).prefix for spec in specs}) == len(specs) == len(list(built.iterdir()))


def test_a_package_that_cannot_be_had_gives_uvs_message_and_leaves_nothing(built: Path) -> None:
    with pytest.raises(
        SandboxStartError, match=r"uv could not build the environment:\n(.|\n)*no-such-package-at-all"
    ) as caught:
        resolve(EnvironmentSpec(packages=("no-such-package-at-all",)))
    assert "allow_source_builds" not in str(caught.value)
    assert str(built) not in str(caught.value)
    assert list(built.iterdir()) == []


def test_a_requirement_that_is_none_gives_uvs_message(built: Path) -> None:
    with pytest.raises(SandboxStartError, match="==1"):
        resolve(EnvironmentSpec(packages=("==1",)))
    with pytest.raises(SandboxStartError, match="-r"):
        resolve(EnvironmentSpec(packages=("-r", "/etc/hostname")))
    assert list(built.iterdir()) == []


def test_nothing_is_built_from_source_unless_it_is_permitted(built: Path, project: str, tmp_path: Path) -> None:
    """A build runs the package's code on the host."""
    with pytest.raises(
        SandboxStartError, match=r"Environment\(allow_source_builds=True\) permits building from source"
    ):
        resolve(EnvironmentSpec(packages=(project,)))
    assert not (tmp_path / "ran on the host").exists()
    with pytest.raises(SandboxStartError):
        resolve(EnvironmentSpec(packages=(project,), allow_source_builds=True))
    assert (tmp_path / "ran on the host").exists()
    assert list(built.iterdir()) == []


def test_a_python_that_is_not_there_gives_uvs_message(built: Path) -> None:
    with pytest.raises(SandboxStartError, match=r"uv could not build the environment:(.|\n)*3\.99"):
        resolve(EnvironmentSpec(python="3.99"))
    assert list(built.iterdir()) == []


def test_the_same_environment_asked_for_at_once_is_built_once(
    built: Path, wheel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, runs = interpreters._uv_run, []

    def counted(command: list[str]) -> None:
        runs.append(command)
        real(command)

    monkeypatch.setattr(interpreters, "_uv_run", counted)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(resolve(EnvironmentSpec(packages=(wheel,))).prefix))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(runs) == 2
    assert len(list(built.iterdir())) == 1


RESOLVE = """
import sys
from sandbox.engine.interpreters import resolve
from sandbox.protocol.messages import EnvironmentSpec
print(resolve(EnvironmentSpec(packages=(sys.argv[1],))).prefix)
"""


def test_processes_that_build_the_same_environment_get_the_same(built: Path, wheel: str) -> None:
    command = [sys.executable, "-c", RESOLVE, wheel]
    building = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    prefixes = {process.communicate(timeout=50)[0] for process in building}
    assert [process.returncode for process in building] == [0] * 3
    assert len(prefixes) == 1
    assert len(list(built.iterdir())) == 1


def test_what_a_killed_builder_left_is_built_anew(built: Path, wheel: str) -> None:
    prefix = Path(resolve(EnvironmentSpec(packages=(wheel,))).prefix)
    target = prefix.parent
    (target / "complete").unlink()
    (prefix / "bin" / "python").unlink()
    half = target.with_name(f"{target.name}.building")
    (half / "venv").mkdir(parents=True)
    target.with_name(f"{target.name}.lock").touch()
    assert Path(resolve(EnvironmentSpec(packages=(wheel,))).prefix) == prefix
    assert [path.name for path in built.iterdir()] == [target.name]


def test_without_uv_the_error_says_how_to_get_it(built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxStartError, match=r"pip install uv") as caught:
        resolve(EnvironmentSpec(packages=("six",)))
    assert caught.value.details == {"missing": "uv"}
    assert list(built.iterdir()) == []


def test_a_build_that_takes_too_long_is_given_up(
    built: Path, wheel: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path / "bin" / "uv", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(interpreters, "_uv", lambda: str(tmp_path / "bin" / "uv"))
    monkeypatch.setattr(interpreters, "_BUILD_SECONDS", 0.2)
    with pytest.raises(SandboxStartError, match=r"uv did not build the environment in 0\.2 s"):
        resolve(EnvironmentSpec(packages=(wheel,)))
    assert list(built.iterdir()) == []
