"""The demo of the MCP server as people run it: a process of its own, in an empty directory."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ISOLATION

import sandbox

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(150)
def test_an_assistant_plots_makes_a_mistake_undoes_it_and_makes_a_page_and_a_video(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    environment = {**os.environ, "PYTHONPATH": str(Path(sandbox.__file__).parents[1]), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "assistant.py")], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=140, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 months, 1758 visitors" in done.stdout
    assert "with 1 image to look at" in done.stdout
    assert "denied" in done.stdout
    assert "goes on from before: 3 executions" in done.stdout
    assert "(1758, 13)" in done.stdout
    made = tmp_path / "demo-output"
    assert (made / "assistant.png").read_bytes().startswith(b"\x89PNG")
    if importlib.util.find_spec("manim") is not None:
        assert b"ftyp" in (made / "assistant.mp4").read_bytes()[:16]
    if ISOLATION == "landlock":
        assert "a web app needs a network of its own" in done.stdout
        return
    assert "sees the page 'Visitors'" in done.stdout
    assert "port 50" in done.stdout.partition("stop_web_app")[2]
    if "this machine has no Chromium" not in done.stdout:
        assert (made / "assistant-app.png").read_bytes().startswith(b"\x89PNG")
