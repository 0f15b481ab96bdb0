"""The direction of imports: downwards only, and what a worker's memory may hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "sandbox"
FILES = sorted(SOURCE.rglob("*.py"))
INSIDE = [file for file in FILES if "inside" in file.parts]
HOST = [file for file in FILES if "inside" not in file.parts]
# Each layer may import the layers after it, and itself.
LAYERS = (
    "cli", "mcp", "server", "core", "sync", "sdk", "remote", "engine", "store", "beneath", "inside", "protocol",
    "results", "options", "network", "ids", "errors",
)  # fmt: skip
BELOW = {
    "__main__": {"cli"},
    "cli": {
        "mcp",
        "server",
        "core",
        "sync",
        "sdk",
        "engine",
        "store",
        "inside",
        "protocol",
        "results",
        "options",
        "network",
        "errors",
        "ids",
    },
    "mcp": {"sdk", "results", "options", "network", "errors", "ids"},
    "server": {"engine", "store", "protocol", "options", "network", "errors", "ids"},
    "core": {"sdk", "engine", "protocol", "results", "options", "errors", "ids"},
    "sync": {"sdk", "protocol", "results", "options", "network", "errors", "core", "ids"},
    "remote": {"protocol", "errors"},
    "sdk": {"remote", "core", "protocol", "results", "options", "network", "errors", "ids"},
    "engine": {"store", "beneath", "inside", "protocol", "network", "errors", "ids"},
    "store": {"beneath", "inside", "errors", "ids"},
    "beneath": {"inside", "errors", "ids"},
    "protocol": {"errors", "ids"},
    "results": {"protocol"},
    "options": {"network", "errors", "ids"},
    "network": {"errors"},
    "ids": {"errors"},
    "errors": set(),
}
OF_INSIDE = {"sandbox.inside.wire", "sandbox.inside.contain.policy", "sandbox.inside.tidy", "sandbox.inside"}


def imports(file: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every import of a file that runs, with its absolute name; relative ones are left out."""
    tree = ast.parse(file.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node, node.module or ""
            yield from (
                (node, f"{node.module}.{alias.name}") for alias in node.names if node.module == "sandbox.inside"
            )


@pytest.mark.parametrize("file", INSIDE, ids=lambda file: str(file.relative_to(SOURCE)))
def test_what_runs_inside_imports_the_standard_library_only(file: Path) -> None:
    foreign = {name for _, name in imports(file) if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == set()


@pytest.mark.parametrize("file", INSIDE, ids=lambda file: str(file.relative_to(SOURCE)))
def test_relative_imports_inside_stay_inside(file: Path) -> None:
    depth = len(file.relative_to(SOURCE / "inside").parts)
    levels = [node.level for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    assert all(level <= depth for level in levels)


@pytest.mark.parametrize("file", HOST, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_go_downwards(file: Path) -> None:
    layer = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    if layer == "__init__":
        return
    for node, name in imports(file):
        parts = name.split(".")
        if parts[0] != "sandbox" or len(parts) == 1:
            continue
        lazy = node.col_offset > 0  # inside a function: the in-process transport reaches the engine only when used
        allowed = BELOW[layer] | {layer} | ({"engine"} if layer in {"sdk", "core", "sync"} and lazy else set())
        assert parts[1] in allowed, f"{file.name}:{node.lineno} imports {name}"


@pytest.mark.parametrize("file", HOST, ids=lambda file: str(file.relative_to(SOURCE)))
def test_the_host_imports_little_of_what_runs_inside(file: Path) -> None:
    used = {name for _, name in imports(file) if name.startswith("sandbox.inside")}
    assert all(
        any(name == one or name.startswith(f"{one}.") for one in OF_INSIDE - {"sandbox.inside"})
        or name == "sandbox.inside"
        for name in used
    ), used


def test_only_one_file_forks() -> None:
    calls = {
        file.name
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"fork", "forkpty"}
        if ast.unparse(node.value).lstrip("_").startswith(("os", "posix", "pty", "ctypes", "libc"))
    }
    assert calls == {"fork.py"}


def test_the_host_never_loads_what_could_run() -> None:
    dangerous = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    for file in HOST:
        tree = ast.parse(file.read_text("utf-8"))
        used = {name.partition(".")[0] for _, name in imports(file)} & dangerous
        called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)} & {
            "eval",
            "exec",
        }
        assert not used | called, file


def test_importing_the_package_is_cheap_and_needs_no_engine() -> None:
    heavy = ("asyncio", "sandbox.engine", "rich", "subprocess")
    code = f"import sandbox, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
