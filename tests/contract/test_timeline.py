"""Time travel: checkpoints, rollback, fork, variables, diff, export."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import Open
from tests.contract.state import elsewhere, forks, plain, restart, value

from sandbox import Checkpoint, CheckpointNotFound, SandboxExecutionError, SessionExists, UsageError
from sandbox.store.store import Store

_STEPS = (
    "x = 1; data = [1]; open('a', 'w').write('one');",
    "x = 2; data.append(2); open('a', 'w').write('two'); open('b', 'w').write('b');",
    "x = 3; del data; import os; os.unlink('b');",
)
_LOOK = "import os; x, globals().get('data'), {n: open(n).read() for n in sorted(os.listdir())}"
_SEEN = (
    "(1, [1], {'a': 'one'})",
    "(2, [1, 2], {'a': 'two', 'b': 'b'})",
    "(3, None, {'a': 'two'})",
)


async def _walk(box: Any) -> None:
    for code in _STEPS:
        await box.run(code)


async def test_every_execution_is_a_checkpoint_with_its_parent(any_box: Any) -> None:
    assert plain(any_box).checkpoints() == []
    await _walk(any_box)
    made = plain(any_box).checkpoints()
    assert [(one.number, one.parent, one.execution) for one in made] == [(1, 0, 1), (2, 1, 2), (3, 2, 3)]
    assert [one.current for one in made] == [False, False, True]
    assert made[0].created_at <= made[1].created_at <= made[2].created_at


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_rollback_brings_variables_and_files_back_together(any_box: Any, number: int) -> None:
    await _walk(any_box)
    await any_box.rollback(number)
    execution = await any_box.run(_LOOK)
    assert (execution.text, execution.state) == (_SEEN[number - 1], "kept")


async def test_a_rollback_to_0_is_the_beginning(any_box: Any) -> None:
    await _walk(any_box)
    await any_box.rollback(0)
    assert await value(any_box, "import os; sorted({'x', 'data'} & globals().keys()), os.listdir()") == "([], [])"


async def test_a_rollback_is_durable(any_box: Any) -> None:
    await _walk(any_box)
    await any_box.rollback(1)
    await restart(any_box)
    assert await value(any_box, _LOOK) == _SEEN[0]


async def test_what_came_after_a_rollback_stays_in_the_tree(any_box: Any) -> None:
    await _walk(any_box)
    third = plain(any_box).checkpoints()[-1]
    await any_box.rollback(1)
    execution = await any_box.run("x = 'other'")
    assert execution.number == 4
    made = plain(any_box).checkpoints()
    assert [(one.parent, one.execution) for one in made if one.current] == [(1, 4)]
    await any_box.rollback(third)
    assert await value(any_box, _LOOK) == _SEEN[2]


async def test_a_label_is_gone_back_to(any_box: Any) -> None:
    await any_box.run(_STEPS[0])
    made = await any_box.checkpoint("good")
    assert isinstance(made, Checkpoint)
    assert (made.label, made.execution, made.current) == ("good", 1, True)
    await any_box.run(_STEPS[1])
    await any_box.rollback("good")
    assert await value(any_box, _LOOK) == _SEEN[0]


async def test_files_that_no_execution_changed_are_not_lost_by_a_rollback(any_box: Any) -> None:
    await any_box.run(_STEPS[0])
    await any_box.files.write("uploaded", "mine")
    await any_box.rollback(1)
    assert not await any_box.files.exists("uploaded")
    with_upload = plain(any_box).checkpoints()[-1]
    await any_box.rollback(with_upload)
    assert await any_box.files.read("uploaded") == b"mine"


async def test_uploaded_files_are_kept_by_a_checkpoint_and_by_save_session(any_box: Any) -> None:
    await any_box.files.write("first", "1")
    first = await any_box.checkpoint("first")
    await any_box.files.write("second", "2")
    plain(any_box).save_session()
    assert [one.number for one in plain(any_box).checkpoints()] == [first.number, first.number + 1]
    await any_box.rollback("first")
    assert [one.path for one in await any_box.files.list()] == ["first"]


async def test_saving_what_is_saved_makes_no_checkpoint(any_box: Any) -> None:
    await any_box.run(_STEPS[0])
    plain(any_box).save_session()
    plain(any_box).save_session()
    assert len(plain(any_box).checkpoints()) == 1


async def test_what_there_is_none_of_is_an_error_that_changes_nothing(any_box: Any) -> None:
    await any_box.run("x = 1")
    for wrong in (7, "no such label"):
        with pytest.raises(CheckpointNotFound):
            await any_box.rollback(wrong)
    with pytest.raises(UsageError):
        await any_box.rollback(None)
    for n in (0, -1, True, 1001):
        with pytest.raises(UsageError):
            await any_box.fork(n)
    assert await value(any_box, "x") == "1"


async def test_forks_begin_alike_and_are_independent(any_box: Any) -> None:
    await _walk(any_box)
    async with forks(any_box, 3) as children:
        assert [await value(child, _LOOK) for child in children] == [_SEEN[2]] * 3
        assert len({plain(one).session_id for one in (any_box, *children)}) == 4
        await children[0].run("x = 'first'; open('a', 'w').write('changed'); open('new', 'w').close()")
        await children[1].run("x = 'second'; open('a', 'w').write('another')")
        await children[1].rollback(plain(children[1]).checkpoints()[0])
        assert await value(children[0], "x, open('a').read()") == "('first', 'changed')"
        assert await value(children[1], _LOOK) == _SEEN[2]
        assert await value(children[2], _LOOK) == _SEEN[2]
        assert await value(any_box, _LOOK) == _SEEN[2]


async def test_a_fork_outlives_what_it_was_forked_from(open_box: Open) -> None:
    box = await open_box()
    await box.run("import numpy as np; big = np.arange(100_000); big[5] = -5")
    async with forks(box) as (child,):
        await box.delete()
        await restart(child)
        assert await value(child, "int(big[5]), int(big[-1])") == "(-5, 99999)"


async def test_a_fork_has_the_files_that_no_execution_has_changed(any_box: Any) -> None:
    await any_box.files.write("uploaded", "mine")
    async with forks(any_box) as (child,):
        assert await child.files.read("uploaded") == b"mine"


async def test_large_arrays_of_forks_are_written_apart(any_box: Any) -> None:
    await any_box.run("import numpy as np; big = np.zeros(1_000_000)")
    async with forks(any_box, 2) as children:
        await children[0].run("big[:] = 1")
        assert [await value(one, "float(big.sum())") for one in (any_box, *children)] == ["0.0", "1000000.0", "0.0"]


async def test_random_generators_of_forks_go_on_alike_unless_they_are_reseeded(any_box: Any) -> None:
    draw = "import random, numpy as np; random.random(), float(np.random.random())"
    await any_box.run(draw)
    async with forks(any_box, 2) as children:
        drawn = {await value(one, draw) for one in (any_box, *children)}
        assert len(drawn) == 1
    async with forks(any_box, 2, reseed=True) as children:
        drawn = {await value(one, draw) for one in (any_box, *children)}
        assert len(drawn) == 3


async def test_what_has_to_be_unique_does_not_repeat_in_forks(any_box: Any) -> None:
    draw = "import os, secrets, ssl, uuid; [uuid.uuid4().hex, secrets.token_hex(), os.urandom(9), ssl.RAND_bytes(9)]"
    await any_box.run(draw)
    async with forks(any_box, 2) as children:
        drawn = [eval(await value(one, draw)) for one in (any_box, *children)]
    assert len({str(one) for each in drawn for one in each}) == 12


async def test_variables_are_described_without_a_look_into_the_worker(any_box: Any) -> None:
    await any_box.run("import numpy as np\nn = 7; array = np.zeros((200, 3)); a = b = ['text']; _own = 1")
    await any_box.run("n = 8")
    found = {one.name: one for one in plain(any_box).variables()}
    assert set(found) >= {"n", "array", "a", "b", "np"}
    assert (found["n"].type, found["n"].text, found["n"].since) == ("int", "8", 2)
    assert (found["array"].type, found["array"].shape, found["array"].since) == ("numpy.ndarray", (200, 3), 1)
    assert 4800 <= found["array"].size < 6000
    assert (found["a"].shared_with, found["b"].shared_with) == (("b",), ("a",))
    assert found["np"].type == "module"


async def test_what_is_no_variable_is_not_among_them(any_box: Any) -> None:
    """Own modules, what was put into libraries and loggers are kept; what draws and reads figures is not."""
    await any_box.files.write("mine.py", "there = []")
    await any_box.run(
        "import logging, warnings, matplotlib.pyplot as plt, mine\nfrom mine import there\n"
        "plt.plot([1, 2]); plt.show()\n"
        "logging.getLogger('a').setLevel(10)\ndef shown(*args, **named): pass\nwarnings.showwarning = shown"
    )
    found = plain(any_box).variables()
    names = {"logging", "mine", "plt", "shown", "there", "warnings"}
    assert {one.name for one in found} == names
    assert set().union(*(one.shared_with for one in found)) <= names
    await restart(any_box)
    execution = await any_box.run("mine.there is there, warnings.showwarning is shown, logging.getLogger('a').level")
    assert execution.text == "(True, True, 10)"


async def test_who_holds_what_can_be_seen(any_box: Any) -> None:
    await any_box.run(
        "import numpy as np, pandas as pd\nwhole = np.zeros(500_000); view = whole[10:20]; same = [whole]\n"
        "wide, narrow = pd.DataFrame({'a': np.ones(400_000)}), pd.DataFrame({'a': [1.0]}); part = wide['a']"
    )
    found = {one.name: one for one in plain(any_box).variables()}
    assert found["view"].shared_with == ("same", "whole")
    assert {found[name].size // 100_000 for name in ("whole", "view", "same")} == {40}
    assert found["wide"].shared_with == ("part",)
    assert (found["narrow"].shared_with, found["narrow"].size < 10_000) == ((), True)


async def test_a_diff_names_variables_and_files(any_box: Any) -> None:
    await _walk(any_box)
    found = plain(any_box).diff(1, 3)
    variables, files = found.variables, found.files
    assert (variables.removed, variables.changed) == (("data",), ("x",))
    assert (files.added, files.removed, files.changed) == ((), (), ("a",))
    there = plain(any_box).diff(1, 2)
    assert (there.variables.changed, there.files.added, there.files.changed) == (("data", "x"), ("b",), ("a",))
    assert not plain(any_box).diff(2, 2)


async def test_a_diff_alone_is_what_has_changed_since_the_last_label(any_box: Any) -> None:
    await any_box.run("x = 1; open('a', 'w').write('one')")
    assert plain(any_box).diff().variables.added == ("x",)
    await any_box.checkpoint("good")
    await any_box.run("y = 2")
    await any_box.files.write("b", "two")
    found = plain(any_box).diff()
    assert (found.variables.added, found.files.added) == (("y",), ("b",))
    assert plain(any_box).diff("good") == found
    await any_box.checkpoint("better")
    assert plain(any_box).diff() == found, "a label now has nothing before it but the other label"
    assert not plain(any_box).diff("better")


async def test_a_dry_run_shows_what_would_change_and_changes_nothing(any_box: Any) -> None:
    await any_box.run("import os; x = [1]; keep = 1; gone = 1; open('a', 'w').write('one'); open('b', 'w').write('b');")
    await any_box.files.write("c", "not saved yet")
    said: list[str] = []
    code = (
        "x.append(2); y = 3; del gone; os.unlink('b'); print(open('c').read())\n"
        "open('a', 'w').write('two'); open('d', 'w').write('d'); x"
    )
    tried = await any_box.run(code, dry_run=True, on_stdout=said.append)
    assert (tried.text, "".join(said), tried.number) == ("[1, 2]", "not saved yet\n", 2)
    variables, files = tried.changes.variables, tried.changes.files
    assert (variables.added, variables.removed, variables.changed) == (("y",), ("gone",), ("x",))
    assert (files.added, files.removed, files.changed) == (("d",), ("b",), ("a",))
    look = "x, gone, 'y' in globals(), {n: open(n).read() for n in sorted(os.listdir())}"
    after = await any_box.run(look)
    assert after.text == "([1], 1, False, {'a': 'one', 'b': 'b', 'c': 'not saved yet'})"
    assert (after.number, after.changes) == (2, None)


async def test_a_dry_run_that_fails_raises_and_changes_nothing(any_box: Any) -> None:
    await any_box.run("x = 1")
    with pytest.raises(SandboxExecutionError) as raised:
        await any_box.run("x = 2; 1 / 0", dry_run=True)
    changes = raised.value.execution.changes
    assert changes is not None
    assert changes.variables.changed == ("x",)
    killed = await any_box.run("x = 3; import os; os.kill(os.getpid(), 9)", dry_run=True, check=False)
    assert (killed.status, bool(killed.changes)) == ("crashed", False)
    assert await value(any_box, "x") == "1"


async def test_a_dry_run_leaves_no_session_behind(any_box: Any) -> None:
    await any_box.run("x = 1")
    with Store(Path(os.environ["SANDBOX_HOME"]) / "store") as store:
        before = {one.id for one in store.sessions()}
        await any_box.run("x = 2", dry_run=True)
        assert {one.id for one in store.sessions()} == before


async def test_a_diff_with_what_there_is_none_of_is_the_error_that_a_rollback_gives(any_box: Any) -> None:
    await any_box.run("x = 1")
    for wrong in (9, "no such label"):
        with pytest.raises(CheckpointNotFound):
            plain(any_box).diff(1, wrong)


async def test_a_notebook_has_cells_outputs_images_and_errors(any_box: Any, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    await any_box.run("print('hello')\nimport sys; print('oh', file=sys.stderr)\n6 * 7")
    await any_box.run("import matplotlib.pyplot as plt; plt.plot([1, 4, 9]); plt.show()")
    await any_box.run("1/0", check=False)
    path = plain(any_box).export(tmp_path / "x.ipynb")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first, second, third = notebook.cells
    assert first.source.startswith("print('hello')")
    assert [one.output_type for one in first.outputs] == ["stream", "stream", "execute_result"]
    assert first.outputs[-1].data["text/plain"] == "42"
    assert second.outputs[0].data["image/png"].startswith("iVBOR")
    assert (third.outputs[-1].output_type, third.outputs[-1].ename) == ("error", "ZeroDivisionError")


async def test_a_notebook_has_the_executions_that_led_to_where_the_session_is(any_box: Any, tmp_path: Path) -> None:
    await _walk(any_box)
    await any_box.rollback(1)
    await any_box.run("x = 'other'")
    notebook = json.loads(plain(any_box).export(tmp_path / "x.ipynb").read_text(encoding="utf-8"))
    assert [cell["execution_count"] for cell in notebook["cells"]] == [1, 4]


async def test_an_archive_goes_on_in_another_store(any_box: Any, tmp_path: Path) -> None:
    await any_box.run("import numpy as np; big = np.arange(50_000); def_ = {'a': big}")
    await _walk(any_box)
    await any_box.checkpoint("end")
    path = plain(any_box).export(tmp_path / "x.sandbox")
    home = tmp_path / "elsewhere"
    home.mkdir(mode=0o711)
    with Store(home / "store") as store:
        session = store.import_session(path, owner="local")
    there = "box = LocalSandbox(session_id=sys.argv[1]).start()\nsay(box.run(sys.argv[2]).text)\nbox.rollback(1)\n"
    there += "say(box.run('int(big[-1]), def_[\"a\"] is big').text)\nsay([c.label for c in box.checkpoints()][3])\n"
    lines = elsewhere(f"{there}box.delete()", session, _LOOK, home=home).splitlines()
    assert lines == [_SEEN[2], "(49999, True)", "end"]


async def test_a_file_of_another_kind_cannot_be_exported(any_box: Any, tmp_path: Path) -> None:
    await any_box.run("x = 1")
    with pytest.raises(UsageError, match=r"\.ipynb"):
        plain(any_box).export(tmp_path / "x.txt")
    with pytest.raises(FileNotFoundError):
        plain(any_box).export(tmp_path / "nowhere" / "x.ipynb")
    assert os.listdir(tmp_path) == []


async def test_a_fork_can_be_given_its_id(any_box: Any) -> None:
    await any_box.run("x = 1")
    wanted = f"{plain(any_box).session_id}-again"
    async with forks(any_box, session_id=wanted) as (fork,):
        assert (plain(fork).session_id, await value(fork, "x")) == (wanted, "1")
        with pytest.raises(SessionExists):
            await any_box.fork(session_id=wanted)
    with pytest.raises(UsageError, match="only one session can have that id"):
        await any_box.fork(2, session_id=wanted)
