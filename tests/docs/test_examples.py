"""Every block of Python in the documents runs, in a real sandbox, and prints what the text says."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import io
import os
import pkgutil
import shlex
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from tests.docs.blocks import Block, blocks, differs
from tests.serving import Serving

import sandbox
import sandbox.sync
from sandbox import LocalSandbox
from sandbox.remote.client import close_connections

PYTHON = blocks("python")
CONSOLE = blocks("console")
PACKAGE = Path(sandbox.__file__).parents[1]


def _parameters(found: list[Block]) -> list[Any]:
    """The blocks that are run; skipped where one is about a level that this run does not have."""
    return [pytest.param(block, id=str(block), marks=_marks(block)) for block in found if "not run" not in block.notes]


def _marks(block: Block) -> list[pytest.MarkDecorator]:
    marks = [pytest.mark.needs_namespaces] if "level" in block.notes else []
    needs = block.notes.get("needs")
    if needs and importlib.util.find_spec(needs) is None:
        marks.append(pytest.mark.skip(reason=f"{needs} is not installed"))
    return marks


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory that the readers of the documents are in, with the files that the examples speak of."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)  # at level `landlock`, a host that is root has workers of another uid
        (directory / "data.csv").write_text("1.5\n4.5\n", encoding="utf-8")
        (directory / "shared").mkdir()
        (directory / "shared" / "notes.txt").write_text("notes\n", encoding="utf-8")
        (directory / "results").mkdir()
        monkeypatch.chdir(directory)
        yield directory


def _compiled(block: Block) -> CodeType:
    """Compile the code with the line numbers of its document."""
    text = "\n" * (block.line - 1) + block.text
    code: CodeType = compile(text, block.file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def _is_async(block: Block) -> bool:
    return bool(_compiled(block).co_flags & inspect.CO_COROUTINE)


def _prepare(block: Block, here: Path) -> dict[str, Any]:
    """Make what takes a moment only where it is used; return the names that the code begins with."""
    if "other-venv" in block.text:
        venv.create(here / "other-venv", with_pip=False)
    return {"__name__": "__main__"}


@pytest.fixture(scope="session")
def served(_home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URL of a server and a key."""
    with Serving(tmp_path_factory.mktemp("served")) as serving:
        yield serving.url, serving.first_key


@pytest.fixture(autouse=True)
def _server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give an example a server that is about one."""
    block = getattr(request.node, "callspec", None) and request.node.callspec.params.get("block")
    if block is not None and "server" in block.notes:
        url, key = request.getfixturevalue("served")
        for name in ("SANDBOX_URL", "E2B_API_URL", "E2B_SANDBOX_URL"):
            monkeypatch.setenv(name, url)
        for name in ("SANDBOX_API_KEY", "E2B_API_KEY"):
            monkeypatch.setenv(name, key)
    yield
    close_connections()


def _compare(block: Block, printed: str) -> None:
    if block.prints:
        difference = differs(printed, block.prints)
        assert not difference, f"{block} {difference}"


@pytest.mark.parametrize("block", _parameters([block for block in PYTHON if _is_async(block)]))
async def test_an_asynchronous_example_prints_what_the_text_says(block: Block, here: Path) -> None:
    names = _prepare(block, here)
    with redirect_stdout(io.StringIO()) as printed:
        if block.wants_sandbox:
            async with LocalSandbox() as box:
                await eval(_compiled(block), {**names, "sandbox": box})
                await box.delete()
        else:
            await eval(_compiled(block), names)
    _compare(block, printed.getvalue())


@pytest.mark.parametrize("block", _parameters([block for block in PYTHON if not _is_async(block)]))
def test_an_example_prints_what_the_text_says(block: Block, here: Path) -> None:
    names = _prepare(block, here)
    with redirect_stdout(io.StringIO()) as printed:
        if block.wants_sandbox:
            with sandbox.sync.LocalSandbox() as box:
                exec(_compiled(block), {**names, "sandbox": box})
                box.delete()
        else:
            exec(_compiled(block), names)
    _compare(block, printed.getvalue())


@pytest.mark.parametrize("block", _parameters(CONSOLE))
def test_a_command_prints_what_the_text_says(block: Block, here: Path) -> None:
    program = here / "sandbox"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m sandbox "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    path = f"{here}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80", "PYTHONPATH": str(PACKAGE)}
    for command, expected in _commands(block):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        difference = differs(done.stdout, expected)
        assert not difference, f"{block} $ {command}\n{difference}\n{done.stderr}"


def _commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Yield each line that begins with `$`, and the lines below it."""
    command, expected = "", list[str]()
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, expected
            command, expected = line[2:], []
        else:
            expected.append(line)
    yield command, expected


def test_the_documents_have_examples() -> None:
    run = [block for block in PYTHON if "not run" not in block.notes]
    assert len([block for block in run if block.file == "README.md"]) >= 8
    assert len([block for block in run if block.prints]) >= len(run) * 0.8, "examples that nothing is known of"
    assert len(CONSOLE) >= 2


def test_few_examples_are_not_run() -> None:
    reasons = [f"{block}: {block.notes['not run']}" for block in PYTHON if "not run" in block.notes]
    assert len(reasons) <= 2, reasons


def test_the_examples_in_docstrings_run() -> None:
    """There may be none; one that is there has to be right."""
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for info in pkgutil.walk_packages(sandbox.__path__, "sandbox."):
        if not info.name.startswith("sandbox.inside.") and info.name != "sandbox.__main__":
            for test in finder.find(importlib.import_module(info.name)):
                runner.run(test)
    assert runner.summarize().failed == 0


def test_a_difference_is_found() -> None:
    assert not differs("a\nb\n", ["a", "b"])
    assert not differs("a\nb\nc\n", ["a", "..."])
    assert not differs("took 3 s\n", ["took ... s"])
    assert differs("a\n", ["a", "b"])
    assert differs("a\nb\n", ["a"])
    assert differs("a\n", ["b"])
