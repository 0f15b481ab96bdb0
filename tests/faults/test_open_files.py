"""Where few files may be open: what fits, fits, and what does not is said with the way out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.engine.isolation import LEAST_OPEN_FILES

_CODE = """
import os, resource, sys
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
import sandbox
import sandbox.sync
try:
    with sandbox.sync.LocalSandbox(files={"/var/lib/dpkg": "/var/lib/dpkg"}) as box:
        other = sandbox.sync.LocalSandbox().start()
        print(box.run("6 * 7").text, box.command.run("true").exit_code, other.run("1").text)
except sandbox.SandboxStartError as error:
    print(error)
"""


def limited(code: tuple[str, ...], most: int, home: Path) -> str:
    home.chmod(0o711)
    environment = {**os.environ, "SANDBOX_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, *code, str(most)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, cwd=home, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("most", [LEAST_OPEN_FILES, 1000, 1023])
def test_a_low_limit_of_open_files_is_enough_for_a_sandbox(most: int, tmp_path: Path) -> None:
    assert limited(("-c", _CODE), most, tmp_path) == "42 0 1\n"


def test_a_limit_that_is_too_low_is_named_with_the_way_out(tmp_path: Path) -> None:
    text = limited(("-c", _CODE), LEAST_OPEN_FILES - 1, tmp_path)
    assert text.startswith(f"this process may have {LEAST_OPEN_FILES - 1} files open, and an engine needs")
    assert "ulimit -n 4096" in text


def test_the_doctor_tells_of_a_low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.engine import doctor, isolation

    monkeypatch.setattr(isolation, "most_open_files", lambda: 300)
    fact = doctor._open_files()
    assert (fact.value, fact.good) == ("at most 300: enough for few sandboxes", None)
    assert "ulimit -n" in fact.remedy
    monkeypatch.setattr(isolation, "most_open_files", lambda: 4096)
    assert (doctor._open_files().value, doctor._open_files().good) == ("at most 4096", True)
