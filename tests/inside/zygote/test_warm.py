"""Importing ahead of time."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from sandbox.inside.zygote.warm import warm


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "warmed_package", raising=False)
    return tmp_path / "warmed_package.py"


def test_an_import_that_starts_a_timer_is_warm_without_a_thread(package: Path) -> None:
    package.write_text(
        "import threading\ntimer = threading.Timer(60, print)\ntimer.start()\n"
        "was_alive = timer.is_alive()\ntimer.cancel()\n"
    )
    report = warm("warmed_package")
    assert report["error"] is None
    assert sys.modules["warmed_package"].was_alive is False


def test_timers_work_again_after_it(package: Path) -> None:
    package.write_text("raise ImportError('broken')\n")
    assert warm("warmed_package")["error"] == "ImportError: broken"
    rang = threading.Event()
    timer = threading.Timer(0, rang.set)
    timer.start()
    assert rang.wait(10)
    timer.join()
    assert "start" not in vars(threading.Timer)
