"""Files of a workspace that lies elsewhere in the next worker."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.inside.state.live import Live


@pytest.fixture
def moved(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a cell, moves the workspace, and returns the names of a session that goes on there."""
    home, other = tmp_path / "first", tmp_path / "second"
    home.mkdir()
    monkeypatch.chdir(home)
    live.saver.begin()

    def moved(source: str) -> dict[str, Any]:
        delta = live.run(source)
        assert delta.lost == []
        for value in live.main.__dict__.values():
            if isinstance(value, io.IOBase | sqlite3.Connection):
                value.close()
        home.rename(other)
        monkeypatch.chdir(other)
        space, lost = live.fresh()
        assert lost == []
        return space

    return moved


def test_open_files_go_on_in_the_workspace_wherever_it_is(moved: Any, tmp_path: Path) -> None:
    space = moved(
        "import os, pathlib\n"
        "pathlib.Path('lines').write_text('one\\ntwo\\n')\n"
        "reading = open('lines'); reading.readline()\n"
        "writing = open(os.path.abspath('written'), 'ab'); writing.write(b'1')\n"
        "closed = open(os.path.abspath('lines')); closed.close()\n"
    )
    with space["reading"] as reading, space["writing"] as writing:
        assert (reading.readline(), reading.name) == ("two\n", "lines")
        assert writing.name == str(tmp_path / "second" / "written")
        writing.write(b"2")
    assert (tmp_path / "second" / "written").read_bytes() == b"12"
    assert space["closed"].closed
    assert space["closed"].name == str(tmp_path / "second" / "lines")


def test_databases_and_mapped_arrays_go_on_in_the_workspace_wherever_it_is(moved: Any, tmp_path: Path) -> None:
    space = moved(
        "import sqlite3, numpy\n"
        "database = sqlite3.connect('data.db'); database.execute('create table t (n)'); database.commit()\n"
        "mapped = numpy.memmap('array', 'u1', 'w+', shape=(10,)); mapped[:] = 7; mapped.flush()\n"
    )
    assert space["database"].execute("select count(*) from t").fetchone() == (0,)
    space["database"].close()
    space["mapped"][0] = 8
    space["mapped"].flush()
    assert (tmp_path / "second" / "array").read_bytes() == b"\x08" + b"\x07" * 9


def test_a_database_outside_of_the_workspace_is_not_kept_and_that_is_told(live: Live, tmp_path: Path) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    delta = live.run(f"import sqlite3; database = sqlite3.connect({str(elsewhere / 'data.db')!r})")
    assert [(one.name, "outside of the workspace" in one.reason) for one in delta.lost] == [("database", True)]
    live.run("database.close()")
