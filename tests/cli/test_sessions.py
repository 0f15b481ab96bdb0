"""`sandbox sessions`: what is stored is shown and changed, by processes that start no sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

import sandbox
from sandbox.cli.sessions_find import OWNER
from sandbox.cli.sessions_flags import COMMANDS as OF_SESSIONS
from sandbox.protocol.messages import OWNER as OF_ENGINES
from sandbox.store.sessions import New
from sandbox.store.store import Store

from .conftest import COMMAND, DEADLINE, Cli

Sessions = Callable[..., subprocess.CompletedProcess[str]]
SOURCE = str(Path(sandbox.__file__).parent.parent)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two sessions, "alpha" and "alpine"."""
    home = tmp_path_factory.mktemp("recorded")
    home.chmod(0o711)
    subprocess.run(
        [sys.executable, str(Path(__file__).parent / "recorded.py")],
        env={**os.environ, "SANDBOX_HOME": str(home), "PYTHONPATH": SOURCE},
        timeout=2 * DEADLINE,
        check=True,
    )
    return home


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Path:
    """A copy of them for one test."""
    copy = tmp_path / "home"
    shutil.copytree(recorded / "store", copy / "store")
    copy.chmod(0o711)
    return copy


@pytest.fixture
def sessions(cli: Cli, home: Path) -> Sessions:
    """Runs `sandbox sessions` with these arguments."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return cli("sessions", *arguments, **{"SANDBOX_HOME": str(home), **more})

    return run


@pytest.fixture
def continued(cli: Cli, home: Path) -> Callable[[str, str], str]:
    """Runs code in a stored session; returns what it printed."""

    def run(session: str, code: str) -> str:
        done = cli("run", "--session", session, "-c", code, SANDBOX_HOME=str(home))
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def held(home: Path, environment: dict[str, str]) -> Iterator[int]:
    """Another process holds "alpha"; its pid."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom sandbox.store.store import Store\n"
        f"with Store(Path({str(home / 'store')!r})) as store:\n"
        f"    store.open('alpha', owner={OWNER!r})\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DEADLINE) == 0


def as_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def head_of(sessions: Sessions, session: str) -> int:
    return int(as_json(sessions("log", session, "--json"))["head"])


def ids(sessions: Sessions) -> set[str]:
    return {one["id"] for one in as_json(sessions("--json"))["sessions"]}


def test_the_owner_is_that_of_the_engines_sessions() -> None:
    assert OWNER == OF_ENGINES


# --- what is shown --------------------------------------------------------------------------------------------------


def test_the_list_has_a_line_for_each_session_the_last_used_first(sessions: Sessions) -> None:
    head, *lines = sessions().stdout.splitlines()
    assert head.split() == ["SESSION", "NAME", "USED", "EXECUTIONS", "CHECKPOINTS", "SIZE", "HELD", "BY"]
    assert [re.split(r"\s{2,}", line)[0] for line in lines] == ["alpine", "alpha"]
    assert re.fullmatch(r"alpha +tools +\d+ \w+ +6 +6 +\d+\.\d kB", lines[1])
    assert sessions("list").stdout.splitlines()[0] == head


def test_the_list_as_json(sessions: Sessions) -> None:
    alpine, alpha = as_json(sessions("--json"))["sessions"]
    assert (alpha["id"], alpha["name"], alpha["executions"], alpha["checkpoints"]) == ("alpha", "tools", 6, 6)
    assert alpha["size"] > 800_000 / 100
    assert (alpha["held_by"], alpha["origin"], alpha["head"]) == (None, None, 6)
    assert alpine["used"] >= alpha["used"] >= alpha["created"]


def test_show_has_variables_files_and_what_is_lost_with_the_reason(sessions: Sessions) -> None:
    answer = as_json(sessions("show", "alpha", "3", "--json"))
    variables = {one["name"]: one for one in answer["variables"]}
    assert variables.keys() == {"x", "gen"}
    assert (variables["x"]["type"], variables["x"]["text"], variables["x"]["since"]) == ("int", "3", 3)
    assert "generator" in variables["gen"]["lost"]
    assert {(one["path"], one["kind"], one["size"]) for one in answer["files"]} == {
        ("a.txt", "file", 3), ("b.txt", "file", 1),
    }  # fmt: skip
    text = sessions("show", "alpha", "3").stdout
    assert re.search(r"\n  x +int +\d+ B +3 +3\n", text)
    assert re.search(r"not kept, and why\n  gen \(generator, execution 3\): a generator", text)
    assert re.search(r"\nhead +checkpoint 6 \(execution 6\)\n", text)
    assert re.search(r"\n +3 B  a\.txt\n", text)


def test_show_is_of_the_head_unless_a_checkpoint_is_named(sessions: Sessions) -> None:
    def names(*arguments: str) -> set[str]:
        return {one["name"] for one in as_json(sessions("show", "alpha", *arguments, "--json"))["variables"]}

    assert names() == names("head") == {"x", "data", "array", "big"}
    assert names("good") == names("2") == names("#2") == names("@2") == {"x", "data"}
    assert names("0") == set()


def test_show_begins_with_the_largest_variables(sessions: Sessions) -> None:
    lines = sessions("show", "alpha").stdout.partition("variables\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert [line.split()[0] for line in lines][-1] == "x"
    sizes = {one["name"]: one["size"] for one in as_json(sessions("show", "alpha", "--json"))["variables"]}
    shown = [sizes[line.split()[0]] for line in lines]
    assert shown == sorted(sizes.values(), reverse=True)
    assert shown[0] > 1000 * shown[-1]


def test_the_log_draws_the_branches(sessions: Sessions) -> None:
    _, *lines = sessions("log", "alpha").stdout.splitlines()
    drawn = [line[:6].rstrip() for line in lines]
    assert drawn == ["* #6", "| * #3", "|/", "* #2", "| * #5", "| * #4", "|/", "* #1"]
    assert "(head) import array;" in lines[0]
    assert "(good) x = 2;" in lines[3]
    assert re.search(r"^\| \* #4 +4 +\d+ \w+  error +\d+ ms  y = 1 / 0$", lines[5])
    assert lines[7].endswith("x = 1 …")


def test_the_log_can_be_cut(sessions: Sessions) -> None:
    done = sessions("log", "alpha", "-n", "2")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "sandbox: and 6 more lines\n"


def test_the_log_as_json(sessions: Sessions) -> None:
    answer = as_json(sessions("log", "alpha", "--json"))
    parents = {one["number"]: one["parent"] for one in answer["checkpoints"]}
    assert parents == {1: 0, 2: 1, 3: 2, 4: 1, 5: 4, 6: 2}
    failed = answer["checkpoints"][3]
    assert (failed["execution"], failed["status"], failed["error_type"]) == (4, "error", "ZeroDivisionError")
    assert [one["number"] for one in answer["checkpoints"] if one["head"]] == [6]
    assert [one["number"] for one in answer["checkpoints"] if one["label"] == "good"] == [2]


def test_the_difference_of_two_checkpoints(sessions: Sessions) -> None:
    lines = sessions("diff", "alpha", "1", "3").stdout.splitlines()
    assert lines[0] == "variables"
    assert lines[1].startswith("  + gen  not kept: a generator")
    assert lines[2:] == ["  ~ x    1 -> 3", "files", "  ~ a.txt", "  + b.txt"]
    answer = as_json(sessions("diff", "alpha", "good", "3", "--json"))
    assert answer["variables"] == {"added": ["gen"], "removed": ["data"], "changed": ["x"]}
    assert answer["files"] == {"added": [], "removed": [], "changed": []}


def test_nothing_that_code_chose_steers_the_terminal(sessions: Sessions) -> None:
    shown = [
        sessions(*arguments) for arguments in (("log", "alpha"), ("show", "alpha", "5"), ("diff", "alpha", "4", "5"))
    ]
    assert all(re.search(r"\\x1b\[(31m|2J)", done.stdout) for done in shown)
    shown += [sessions(*arguments, "--json") for arguments in (("log", "alpha"), ("show", "alpha", "5"))]
    for done in shown:
        assert done.returncode == 0
        assert set(filter(lambda char: not char.isprintable(), done.stdout)) == {"\n"}


def test_nothing_stored_is_said_and_nothing_is_made(cli: Cli, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    done = cli("sessions", SANDBOX_HOME=str(nowhere))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"sandbox: nothing is stored in {nowhere}/store\n"
    assert as_json(cli("sessions", "--json", SANDBOX_HOME=str(nowhere))) == {"sessions": []}
    done = cli("sessions", "log", "alpha", SANDBOX_HOME=str(nowhere))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not nowhere.exists()


def test_no_engine_and_no_table_library_is_imported(home: Path, environment: dict[str, str]) -> None:
    """Each of these costs 20 to 100 ms."""
    for command in (["list"], ["log", "alpha"], ["show", "alpha"], ["diff", "alpha", "1", "2"], ["fork", "alpha"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "sandbox", "sessions", *command],
            capture_output=True, text=True, timeout=DEADLINE, check=True,
            env={**environment, "SANDBOX_HOME": str(home)},
        )  # fmt: skip
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "sandbox.store.store" in imported
        assert imported & {"asyncio", "rich", "sandbox.engine.engine", "sandbox.engine.stored", "zipfile"} == set()


# --- what is changed ------------------------------------------------------------------------------------------------


def test_a_session_goes_on_where_it_was_rolled_back_to(
    sessions: Sessions, continued: Callable[[str, str], str]
) -> None:
    done = sessions("rollback", "alpha", "1")
    assert done.stdout == "alpha is at checkpoint 1 (execution 1), and was at checkpoint 6 (execution 6)\n"
    assert continued("alpha", "print(x, open('a.txt').read(), 'data' in globals())") == "1 one False\n"
    assert "alpha is at checkpoint 2 (execution 2) 'good'" in sessions("rollback", "alpha", "good").stdout
    assert continued("alpha", "print(x, open('a.txt').read(), data)") == "2 two [1]\n"
    assert sessions("rollback", "alpha", "#3").returncode == 0
    assert head_of(sessions, "alpha") == 3
    assert sessions("rollback", "alpha", "@3").stdout == "alpha is at checkpoint 3 (execution 3) already\n"


def test_a_session_that_was_rolled_back_to_its_beginning_is_empty_and_keeps_its_checkpoints(
    sessions: Sessions, continued: Callable[[str, str], str]
) -> None:
    assert sessions("rollback", "alpha", "0").stdout.startswith("alpha is at its beginning, and was at checkpoint 6")
    assert continued("alpha", "import os; print('x' in globals(), os.listdir())") == "False []\n"
    answer = as_json(sessions("log", "alpha", "--json"))
    assert [(one["number"], one["parent"]) for one in answer["checkpoints"]][-2:] == [(6, 2), (7, 0)]
    lines = sessions("log", "alpha").stdout.splitlines()
    assert lines[1].startswith("* #7")
    assert lines[-1].startswith("o #0")


def test_forks_begin_where_they_were_made_and_are_independent(
    sessions: Sessions, continued: Callable[[str, str], str]
) -> None:
    done = sessions("fork", "alpha", "1", "-n", "2")
    one, two = done.stdout.split()
    assert done.stderr == "sandbox: forked from alpha at checkpoint 1 (execution 1)\n"
    assert ids(sessions) == {"alpha", "alpine", one, two}
    assert continued(one, "x += 10; open('a.txt', 'w').write('mine'); print(x)") == "11\n"
    assert continued(two, "print(x, open('a.txt').read())") == "1 one\n"
    assert head_of(sessions, "alpha") == 6
    assert "forked from alpha at #1" in sessions("log", two).stdout
    (origin,) = (found["origin"] for found in as_json(sessions("--json"))["sessions"] if found["id"] == two)
    assert origin == {"session": "alpha", "checkpoint": 1}


def test_a_label_is_given_found_and_taken_away(sessions: Sessions) -> None:
    assert sessions("label", "alpha", "3", "odd one").stdout == "labelled checkpoint 3 (execution 3) 'odd one'\n"
    assert as_json(sessions("show", "alpha", "odd one", "--json"))["at"] == 3
    assert sessions("label", "alpha", "odd one", "").stdout == "checkpoint 3 (execution 3) has no label now\n"
    assert sessions("show", "alpha", "odd one").returncode == 2


@pytest.mark.parametrize("text", ["3", "#3", "@3", "head"])
def test_a_label_that_would_name_another_checkpoint_is_refused(sessions: Sessions, text: str) -> None:
    done = sessions("label", "alpha", "1", text)
    assert done.returncode == 2
    assert "cannot be a label" in done.stderr


def test_a_session_moves_as_one_file(sessions: Sessions, cli: Cli, tmp_path: Path) -> None:
    done = sessions("export", "alpha", "a.sandbox")
    assert re.fullmatch(r"alpha is in a\.sandbox, \d+\.\d kB\n", done.stdout)
    elsewhere = tmp_path / "elsewhere"
    moved = cli("sessions", "import", "a.sandbox", SANDBOX_HOME=str(elsewhere))
    assert (moved.returncode, moved.stdout) == (0, "alpha\n")
    log = [
        cli("sessions", "log", "alpha", "--json", SANDBOX_HOME=str(place)) for place in (elsewhere, tmp_path / "home")
    ]
    assert as_json(log[0])["checkpoints"] == as_json(log[1])["checkpoints"]
    again = sessions("import", "a.sandbox")
    assert again.returncode == 2
    assert "--id gives the imported one another" in again.stderr
    assert sessions("import", "a.sandbox", "--id", "copy").stdout == "copy\n"
    assert ids(sessions) == {"alpha", "alpine", "copy"}


def test_a_notebook_has_the_cells_that_led_to_the_head(sessions: Sessions, tmp_path: Path) -> None:
    assert sessions("export", "alpha", "a.ipynb").returncode == 0
    cells = json.loads((tmp_path / "a.ipynb").read_text())["cells"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 6]
    (tmp_path / "a.ipynb").write_text("mine")
    done = sessions("export", "alpha", "a.ipynb")
    assert (done.returncode, (tmp_path / "a.ipynb").read_text()) == (2, "mine")
    assert sessions("export", "alpha", "a.ipynb", "--replace").returncode == 0
    assert json.loads((tmp_path / "a.ipynb").read_text())["nbformat"] == 4


def test_a_file_that_is_no_archive_is_refused_and_leaves_nothing(sessions: Sessions, tmp_path: Path) -> None:
    (tmp_path / "no.sandbox").write_bytes(b"PK\x03\x04 no")
    done = sessions("import", "no.sandbox")
    assert (done.returncode, done.stdout) in {(2, ""), (3, "")}
    assert "is not a whole archive" in done.stderr
    assert ids(sessions) == {"alpha", "alpine"}


def test_sessions_are_deleted_and_gc_says_what_it_freed(sessions: Sessions, home: Path) -> None:
    with Store(home / "store") as store:
        session = store.create(New("large", OWNER))
        staging = session.staging()
        staging.changes["file/big"] = _file(staging.part(os.urandom(1_000_000)), 1_000_000)
        session.commit(staging)
        session.release()
        fork = New("of-large", OWNER)
        store.fork("large", [fork], 0, owner=OWNER)
    assert sessions("rm", "large").stdout == "deleted large\n"
    assert sessions("delete", "alpi").stdout == "deleted alpine\n"
    assert ids(sessions) == {"alpha", "of-large"}
    freed = re.fullmatch(r"freed (\S+ \S+); the packs have \S+ \S+\n", sessions("gc").stdout)
    assert freed is not None
    assert freed[1] == "1.0 MB"


def _file(content: Any, size: int) -> Any:
    from sandbox.store.staged import StagedFile

    return StagedFile("f", 0o644, 0, size=size, content=content)


def test_verify_finds_what_is_damaged(sessions: Sessions, home: Path) -> None:
    done = sessions("verify")
    assert (done.returncode, done.stdout) == (0, "7 checkpoints of 2 sessions: whole\n")
    with Store(home / "store") as store:
        query = "SELECT p.name, r.start FROM records r JOIN packs p ON p.id = r.pack ORDER BY r.size DESC"
        name, start = store.database.one(query)
    (pack,) = (home / "store" / "packs").rglob(name)
    with pack.open("r+b") as file:
        file.seek(start)
        file.write(b"damage")
    done = sessions("verify")
    assert done.returncode == 1
    assert "sandbox: alpha #6 is damaged: " in done.stderr
    assert done.stdout.startswith("6 checkpoints of 2 sessions: whole\n1 checkpoint: damaged.")
    answer = json.loads(sessions("verify", "--json").stdout)
    assert (answer["ok"], list(answer["broken"]["alpha"])) == (False, ["6"])


# --- held by another process ----------------------------------------------------------------------------------------


# --- retention ------------------------------------------------------------------------------------------------------


def checkpoints(sessions: Sessions, session: str) -> dict[int, str | None]:
    return {one["number"]: one["label"] for one in as_json(sessions("log", session, "--json"))["checkpoints"]}


def test_gc_keeps_the_newest_checkpoints_and_those_with_a_label(
    sessions: Sessions, continued: Callable[[str, str], str]
) -> None:
    shown = as_json(sessions("show", "alpha", "--json"))["variables"]
    done = sessions("gc", "alpha", "--keep", "2")
    assert re.match(r"dropped 3 checkpoints\nfreed ", done.stdout)
    assert checkpoints(sessions, "alpha") == {2: "good", 5: None, 6: None}
    assert as_json(sessions("show", "alpha", "--json"))["variables"] == shown
    assert as_json(sessions("verify", "--json"))["ok"]
    sessions("rollback", "alpha", "good")
    assert continued("alpha", "print(x)") == "2\n"


def test_gc_of_all_passes_over_what_a_process_holds(sessions: Sessions, held: int) -> None:
    done = sessions("gc", "--keep", "1")
    assert (done.returncode, len(checkpoints(sessions, "alpine"))) == (0, 1)
    assert len(checkpoints(sessions, "alpha")) == 6
    assert f"process {held}" in done.stderr
    assert "its checkpoints stay" in done.stderr
    assert sessions("gc", "alpha", "--keep", "1").returncode == 3


@pytest.mark.parametrize(
    "arguments", [("rollback", "alpha", "1"), ("label", "alpha", "1", "x"), ("rm", "alpine", "alpha")]
)
def test_what_another_process_holds_is_not_changed(sessions: Sessions, held: int, arguments: tuple[str, ...]) -> None:
    done = sessions(*arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"the session 'alpha' is open in process {held} " in done.stderr
    assert done.stderr.count("\n") == 1
    assert ids(sessions) == {"alpha", "alpine"}
    assert head_of(sessions, "alpha") == 6


def test_what_another_process_holds_is_shown_forked_and_exported(sessions: Sessions, held: int) -> None:
    assert f"process {held}" in sessions().stdout
    assert re.search(rf"\nheld by +process {held} on ", sessions("show", "alpha").stdout)
    for arguments in (
        ("log", "alpha"),
        ("diff", "alpha", "1", "2"),
        ("fork", "alpha"),
        ("export", "alpha", "x.sandbox"),
    ):
        assert sessions(*arguments).returncode == 0
    assert sessions("gc").returncode == 0
    assert sessions("verify").returncode == 0


# --- names ----------------------------------------------------------------------------------------------------------


def test_an_id_may_be_abbreviated_if_only_one_begins_so(sessions: Sessions) -> None:
    assert as_json(sessions("log", "alpi", "--json"))["session"] == "alpine"
    done = sessions("log", "al")
    assert done.returncode == 2
    assert done.stderr == "sandbox: 'al' could be any of 2 sessions: alpine, alpha\n"
    with_an_end = sessions("log", "")
    assert with_an_end.returncode == 2


def test_a_whole_id_is_meant_even_if_another_begins_so(sessions: Sessions) -> None:
    sessions("export", "alpine", "x.sandbox")
    sessions("import", "x.sandbox", "--id", "alph")
    assert as_json(sessions("log", "alph", "--json"))["session"] == "alph"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shwo"], "there is no command 'shwo' of sessions"),
        (["log"], "required: ID"),
        (["log", "beta"], "there is no session 'beta'"),
        (["rollback", "alpha"], "required: TO"),
        (["rollback", "alpha", "bad"], "no checkpoint 'bad'; `sandbox sessions log alpha` lists"),
        (["rollback", "alpha", "99"], "no checkpoint of execution 99"),
        (["rollback", "alpha", "#99"], "no checkpoint 99"),
        (["rollback", "alpha", "99999999999999999999999"], "no checkpoint '99999999999999999999999'"),
        (["fork", "alpha", "-n", "0"], "from 1 to 1000"),
        (["fork", "alpha", "0"], "nothing to fork from"),
        (["diff", "alpha", "1"], "required: B"),
        (["export", "alpha", "x.txt"], "ends in .ipynb for a notebook"),
        (["export", "alpha", "nowhere/x.ipynb"], "nowhere"),
        (["import", "missing.sandbox"], "there is no file"),
        (["import", "missing.sandbox", "--id", "../x"], "cannot be a session's id"),
        (["rm"], "required: ID"),
        (["gc", "alpha"], "takes --keep N"),
        (["gc", "nothing", "--keep", "1"], "there is no session 'nothing'"),
        (["gc", "--keep", "0"], "is not a number from 1 on"),
        (["log", "alpha", "-n", "x"], "is not a number from 1 on"),
    ],
)
def test_a_wrong_command_line_is_one_message_and_2(sessions: Sessions, arguments: list[str], says: str) -> None:
    done = sessions(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "mistake of this program" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in OF_SESSIONS)])
def test_help_fits_80_columns_and_shows_examples(sessions: Sessions, arguments: list[str]) -> None:
    done = sessions(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: sandbox sessions")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "examples:\n  sandbox sessions" in done.stdout


# --- on a terminal --------------------------------------------------------------------------------------------------


@pytest.fixture
def on_terminal(home: Path, environment: dict[str, str]) -> Callable[..., pexpect.spawn[str]]:
    """Runs `sandbox sessions` on a terminal of 80 columns."""
    settings = {**environment, "SANDBOX_HOME": str(home), "TERM": "xterm-256color"}
    settings.pop("COLUMNS")

    def spawn(*arguments: str) -> pexpect.spawn[str]:
        return pexpect.spawn(
            COMMAND[0], [*COMMAND[1:], "sessions", *arguments], env=settings, dimensions=(30, 80), timeout=DEADLINE,
            encoding="utf-8",
        )  # fmt: skip

    return spawn


def ended(child: pexpect.spawn[str]) -> tuple[int | None, str]:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before or ""


@pytest.mark.parametrize(
    "arguments", [("list",), ("log", "alpha"), ("show", "alpha", "3"), ("diff", "alpha", "1", "3")]
)
def test_no_line_is_wider_than_the_terminal(
    on_terminal: Callable[..., pexpect.spawn[str]], arguments: tuple[str, ...]
) -> None:
    code, shown = ended(on_terminal(*arguments))
    assert code == 0
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert ("…" in shown) == (arguments[0] in {"log", "diff"})


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y", 0, {"alpha"}), ("", 1, {"alpha", "alpine"}), ("no", 1, {"alpha", "alpine"})]
)
def test_rm_asks(
    on_terminal: Callable[..., pexpect.spawn[str]], sessions: Sessions, answer: str, code: int, left: set[str]
) -> None:
    child = on_terminal("rm", "alpine")
    child.expect_exact("Delete 1 session with all checkpoints and files? [y/N] ")
    child.sendline(answer)
    assert ended(child)[0] == code
    assert ids(sessions) == left


def test_rm_does_not_ask_when_it_was_told_so(
    on_terminal: Callable[..., pexpect.spawn[str]], sessions: Sessions
) -> None:
    assert ended(on_terminal("rm", "--yes", "alpine")) == (0, "deleted alpine\r\n")
    assert ids(sessions) == {"alpha"}
