"""The demo of JavaScript as people run it: a process of its own, in an empty directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import sandbox

ROOT = Path(__file__).parents[2]


def test_a_session_in_javascript_has_a_chart_a_package_and_survives_a_kill(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(sandbox.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "node.py")], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=55, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "the table is HTML too: True" in done.stdout
    assert "[ '0.012', 4 ]" in done.stdout
    assert "timeout: the variables are kept" in done.stdout
    assert "the variables are restored" in done.stdout
    assert "[ true, 7, true, -0.51 ]" in done.stdout
    assert "would not survive: counter" in done.stdout
    chart = json.loads((tmp_path / "demo-output" / "series.vl.json").read_text("utf-8"))
    assert len(chart["data"]["values"]) == 24
