"""E2B's JavaScript SDK, as npm has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.contract.languages import types_are_known
from tests.server.compat.conftest import fetch
from tests.serving import Serving

_PACKAGE = "@e2b/code-interpreter@2.8.0"
_PROGRAM = Path(__file__).with_name("javascript.mjs")
_EXPECTED = {
    "text": "21", "stdout": "yes\n", "error": "ZeroDivisionError", "chart": ["bar", 2, True], "envs": "1",
    "timeout": "TimeoutError", "contexts": ["20", "own", 2], "javascript": ["42", "js\n", True],
    "typescript": "1js", "sharedFile": ["js20", "41"], "thrown": "TypeError",
    "files": ["text", "2", 2_000_000], "bytes": [49],
    "listed": ["dir a", "file c", "file d", "file stream"], "made": [True, False, True], "gone": False,
    "notFound": "FileNotFoundError", "url": "1", "watched": "new", "command": "me\n", "exit": 4,
    "pty": [0, True], "host": True, "listedCommands": [True], "connected": "more\n", "killed": [True, False],
    "metrics": 1, "found": 1, "inStates": 1, "paused": [False, "paused"], "resumed": ["20", "41"],
    "killedBox": [True, False, False],
    "wrongKey": "AuthenticationError",
}  # fmt: skip


@pytest.fixture
def modules(request: pytest.FixtureRequest) -> Path:
    """A directory with the package installed, fetched once."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    assert request.config.cache is not None
    place = request.config.cache.mkdir("npm") / _PACKAGE.replace("/", "-")
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        fetch(
            _PACKAGE, npm, "install", "--prefix", str(place), "--no-audit", "--no-fund", "--fetch-retries=0", _PACKAGE
        )
        (place / "complete").touch()
    return place


def test_the_javascript_client_works(serving: Serving, key: str, modules: Path) -> None:
    shutil.copy(_PROGRAM, modules / "program.mjs")
    done = subprocess.run(
        ["node", "program.mjs"],
        cwd=modules,
        env={**os.environ, "TYPES": str(int(types_are_known()))},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == _EXPECTED
