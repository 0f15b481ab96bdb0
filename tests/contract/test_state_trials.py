"""What was saved and does not load: said in the result of the execution that made it, whatever loading it does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.state import Process, elsewhere, forks, plain, restart, value

from sandbox import Mount

BAD = "class Bad:\n    def __setstate__(self, state): raise ValueError('not again')\n"
GOOD = "class Good:\n    def __setstate__(self, state): self.__dict__.update(state)\n"
MADE = {
    "an object that will not be set": (BAD + "x = Bad(); x.n = 1", "ValueError: not again"),
    "one that only its own process can make": (
        "def started(): return open('/proc/self/stat').read().rpartition(')')[2].split()[19]\n"
        "class Own:\n"
        "    def __reduce__(self): return same, (started(),)\n"
        "def same(then):\n"
        "    if then != started(): raise RuntimeError('it was another process')\n"
        "    return Own()\n"
        "x = [Own()]",
        "RuntimeError: it was another process",
    ),
    "one with a temporary file": (
        "import tempfile\n"
        "class Reads:\n"
        "    def __init__(self): self.path = tempfile.mkstemp()[1]\n"
        "    def __setstate__(self, state): self.text = open(state['path']).read()\n"
        "x = Reads()",
        ("FileNotFoundError: ", "PermissionError: "),  # where it lies in another worker's directory
    ),
    "one that comes back as something else": (
        "class Odd:\n    def __reduce__(self): return int, ()\nx = Odd()",
        "TypeError: x was a Odd and came back as a int",
    ),
    "one inside of another that comes back as something else": (
        "class Odd:\n    def __reduce__(self): return int, ()\nx = {'inner': (1, Odd())}",
        "a __main__.Odd in it came back as something else",
    ),
    "a list that wants an attribute before it is there": (
        "class Log(list):\n"
        "    def __init__(self): self.seen = 0\n"
        "    def append(self, one):\n        super().append(one); self.seen += 1\n"
        "    extend = property(lambda self: None.missing)\n"
        "x = Log(); x.append(1)",
        "AttributeError: ",
    ),
    "nodes of a ring that hash by what they hold": (
        "class Node:\n"
        "    def __init__(self, name): self.name, self.near = name, set()\n"
        "    def __hash__(self): return hash(self.name)\n"
        "x, y = Node('x'), Node('y')\nx.near.add(y); y.near.add(x)",
        "AttributeError: ",
    ),
    "one that cannot be made without arguments": (
        "import datetime\n"
        "class Zone(datetime.tzinfo):\n    def __init__(self, name): self.name = name\n"
        "x = datetime.datetime(2020, 1, 1, tzinfo=Zone('a'))",
        "TypeError: ",
    ),
    "one that ends its worker": (
        "import os\nclass Ends:\n    def __setstate__(self, state): os._exit(3)\nx = Ends(); x.n = 1",
        "when it is loaded, the worker ended by itself with exit code 3",
    ),
    "one that has its worker killed": (
        "import ctypes\nclass Dies:\n    def __setstate__(self, state): ctypes.string_at(0)\nx = Dies(); x.n = 1",
        "when it is loaded, the worker ",
    ),
}


@pytest.mark.parametrize(("cell", "reason"), MADE.values(), ids=MADE)
async def test_what_does_not_load_is_named_by_the_execution_that_made_it(any_box: Any, cell: str, reason: str) -> None:
    execution = await any_box.run(f"fine = [1]\n{cell}")
    assert execution.status == "ok"
    assert execution.state == "kept"
    assert "x" in execution.state.lost_names
    assert "fine" not in execution.state.lost_names
    (warning,) = [one for one in execution.warnings if one.startswith("x ")]
    told = "x is lost when this session is restored: "
    assert warning.startswith(told)
    assert warning.removeprefix(told).startswith(reason)
    assert next(one.lost for one in plain(any_box).variables() if one.name == "x").startswith(reason)
    again = await any_box.run("isinstance(x, object), fine")
    assert (again.text, "x" in again.state.lost_names, again.warnings) == ("(True, [1])", True, ())
    await restart(any_box)
    failed = await any_box.run("x.anything", check=False)
    assert str(failed.exception).startswith("StateLost: x (")
    assert any(one in str(failed.exception) for one in ((reason,) if isinstance(reason, str) else reason))
    assert await value(any_box, "fine") == "[1]"


async def test_several_that_end_their_worker_are_all_named_and_cost_nothing_else(any_box: Any) -> None:
    execution = await any_box.run(
        f"{GOOD}{BAD}import os\nclass Ends:\n    def __setstate__(self, state): os._exit(self.code)\n    code = 3\n"
        "a = Ends(); a.n = 1; good = Good(); good.n = 1; b = [Ends()]; b[0].n = 1; c = Bad(); c.n = 1"
    )
    assert sorted(execution.state.lost_names) == ["a", "b", "c"]
    await restart(any_box)
    assert await value(any_box, "good.n") == "1"


async def test_what_loads_with_the_files_of_the_workspace_is_kept(any_box: Any) -> None:
    execution = await any_box.run(
        "import os\nos.mkdir('data'); open('data/file', 'w').write('kept')\n"
        "class Reads:\n"
        "    def __init__(self, path): self.path = path; self.text = open(path).read()\n"
        "    def __getstate__(self): return self.path\n"
        "    def __setstate__(self, path): self.__init__(path)\n"
        "x = Reads('data/file')"
    )
    assert (execution.state.lost_names, execution.warnings) == ((), ())
    await restart(any_box)
    assert await value(any_box, "x.text") == "'kept'"


@pytest.mark.needs_namespaces
async def test_loading_on_trial_touches_neither_files_nor_mounts(open_box: Open, tmp_path: Path) -> None:
    box = await open_box(files={"/data": Mount(tmp_path, writable=True)})
    execution = await box.run(
        "import os, subprocess, sys\n"
        "open('mine', 'w').write('mine')\n"
        "class Touches:\n"
        "    def __setstate__(self, state):\n"
        "        self.done = []\n"
        "        for path in ('new', os.path.abspath('mine'), '/data/new'):\n"
        "            try:\n                self.done.append(open(path, 'a').write('touched'))\n"
        "            except OSError as error:\n                self.done.append(type(error).__name__)\n"
        "        subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        "x = Touches(); x.n = 1"
    )
    assert execution.state.lost_names == ()
    assert await value(box, "sorted(os.listdir()), open('mine').read()") == "(['mine'], 'mine')"
    assert os.listdir(tmp_path) == []


async def test_a_class_that_is_mended_is_kept_again(any_box: Any) -> None:
    assert (await any_box.run(f"{BAD}x = Bad(); x.n = 1")).state.lost_names == ("x",)
    mended = await any_box.run("Bad.__setstate__ = lambda self, state: self.__dict__.update(state); x.n = 2")
    assert mended.state.lost_names == ()
    await restart(any_box)
    assert await value(any_box, "x.n") == "2"


async def test_names_that_share_objects_with_what_is_lost_are_kept_together(any_box: Any) -> None:
    execution = await any_box.run(f"{BAD}shared = [1]; x = Bad(); x.held = shared; y = {{'a': shared}}")
    assert execution.state.lost_names == ("x",)
    await any_box.run("shared.append(2)")
    await restart(any_box)
    assert await value(any_box, "y['a'] is shared, shared") == "(True, [1, 2])"


async def test_a_fork_knows_what_is_lost(any_box: Any) -> None:
    await any_box.run(f"{BAD}x = Bad(); x.n = 1; y = 2")
    async with forks(any_box) as (child,):
        assert await value(child, "y") == "2"
        assert "not again" in str((await child.run("x.n", check=False)).exception)


async def test_going_back_to_the_execution_that_lost_something_says_so(any_box: Any) -> None:
    await any_box.run(f"{BAD}x = Bad(); x.n = 1; y = 2")
    await any_box.run("y = 3")
    await any_box.rollback(1)
    assert [one.execution for one in plain(any_box).checkpoints()] == [1, 2]
    assert await value(any_box, "y") == "2"
    assert "not again" in str((await any_box.run("x.n", check=False)).exception)


@pytest.mark.parametrize("loading", ["import os; os._exit(3)", "raise ValueError('not again')"])
def test_what_a_killed_program_was_told_is_so(tmp_path: Path, loading: str) -> None:
    """The result came after the checkpoint knew: a restore does not meet what would end its worker."""
    code = f"""
        box = LocalSandbox(session_id="killed").start()
        bad = "class Bad:\\n    def __setstate__(self, state):\\n        {loading}\\n"
        made = box.run(bad + "x = Bad(); x.n = 1; y = 2")
        say(made.state.lost_names)
        sys.stdin.read()
    """
    with Process(code, home=tmp_path) as process:
        assert process.line() == "('x',)"
        process.kill()
    said = elsewhere(
        """
        with LocalSandbox(session_id="killed") as box:
            say(box.run("y").text, box.run("x.n", check=False).exception)
            box.delete()
        """,
        home=tmp_path,
    )
    assert said.startswith("2 StateLost: x (Bad), made by execution 1, could not be kept: ")
