"""What the README says of itself and no other test is about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sandbox
from sandbox import LocalSandbox
from sandbox.engine.thread import EngineThread
from sandbox.sdk import local

ELSEWHERE = """
import sys
sys.platform = "darwin"
import sandbox, sandbox.sync
try:
    sandbox.sync.LocalSandbox().start()
except sandbox.SandboxStartError as error:
    print(error)
"""


async def test_no_isolation_warns_and_every_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_warned", False)
    engine = EngineThread(parked=0)
    try:
        box = LocalSandbox(engine=engine, isolation="none")
        with pytest.warns(RuntimeWarning, match="can do whatever this process may do"):
            await box.start()
        execution = await box.run("1")
    finally:
        engine.close()
    assert execution.isolation == "none"
    assert "seccomp" not in execution.enforced


def test_elsewhere_the_package_can_be_imported_and_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        env={"PYTHONPATH": str(Path(sandbox.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.startswith("a local sandbox needs Linux")
