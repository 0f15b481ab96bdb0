"""What the state costs a session that has nothing to keep."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
_WORDS = "asyncio inspect dataclasses logging socket sqlite3 numpy concurrent decimal hashlib"
_HEAVY = frozenset(_WORDS.split())


def tops_of(script: str) -> set[str]:
    """The packages whose names a script prints, in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_the_state_imports_nothing_heavy() -> None:
    script = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
before = set(sys.modules)
import sandbox.inside.state
print(*(set(sys.modules) - before))
"""
    assert not tops_of(script) & _HEAVY


def test_saving_and_restoring_plain_values_loads_no_library() -> None:
    script = f"""
import sys, types
sys.path.insert(0, {str(SOURCE)!r})
from sandbox.inside.state import Saver
main = types.ModuleType("__main__")
sys.modules["__main__"] = main
saver = Saver(main)
saver.begin()
exec("x = [1]; y = 5", main.__dict__)
parts = {{header["put"]: b"".join(map(bytes, pieces)) for header, pieces in saver.save(1, [], "").records}}
other = Saver(types.ModuleType("__main__"))
other.begin()
other.restore(parts)
print(*sys.modules)
"""
    assert not tops_of(script) & _HEAVY
