"""What a worker knows without looking: its environment, its memory, and the state of its random generators."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.security.conftest import Range

_NAME = "SANDBOX_TEST_API_KEY"


@pytest.fixture(scope="module", autouse=True)
def _host_secret() -> object:
    """A variable in this process's environment before the module's engine starts."""
    os.environ[_NAME] = "host-secret-7f3b19"
    yield
    del os.environ[_NAME]


def disguised(text: str) -> str:
    """The text in a form in which a search for it does not find its own argument."""
    return text.encode()[::-1].hex()


def test_a_worker_does_not_see_the_host_environment(lab: Range) -> None:
    seen = lab.attack("environment").value
    assert _NAME not in seen
    assert os.environ[_NAME] not in repr(seen)
    # Replaced at every level, so the control is a process that is started in the ordinary way.
    ordinary = subprocess.run(
        [sys.executable, "-c", f"import os; print(os.environ[{_NAME!r}], open('/proc/self/environ').read())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ordinary.stdout.count(os.environ[_NAME]) == 2


def test_the_host_environment_is_not_in_a_workers_memory(lab: Range) -> None:
    assert lab.attack("memory_with", disguised(os.environ[_NAME])).value == []
    # The search finds what is there: a variable that the sandbox was given.
    given = lab.attack("memory_with", disguised("given-to-it-4c1d88"), env={"GIVEN": "given-to-it-4c1d88"})
    assert given.value != []


def test_variables_of_one_session_are_not_seen_by_another(lab: Range) -> None:
    lab.box(env={"ONLY_HERE": "only-here-51c7"})
    assert lab.attack("memory_with", disguised("only-here-51c7"), env={"N": "1"}).value == []
