"""`sandbox repl` in JavaScript and TypeScript, from a pipe and in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.languages import types_are_known

from .conftest import Cli
from .test_repl_terminal import READY, Terminal

JS = ("repl", "--language", "javascript")


def test_values_are_printed_and_variables_live_on_in_javascript(cli: Cli) -> None:
    given = (
        "let x = 6\nx * 7\n'text'\nfor (const n of [0, 1]) {\n  console.log(n)\n}\nawait Promise.resolve([1])\n"
        "function f() {\n  return `a\n${x}`\n}\nf()\n[3, 1]\n  .sort()\n  .join()\n!echo shell\n"
        "void process.stdout.write('last')"
    )
    done = cli(*JS, given=given)
    assert done.stdout == "42\n'text'\n0\n1\n[ 1 ]\n'a\\n6'\n'1,3'\nshell\nlast"
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_is_shown_as_node_does_and_the_session_goes_on(cli: Cli) -> None:
    done = cli(*JS, given="const x = 1\nx.y.z\nf(]\nx\n")
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert "TypeError: Cannot read properties of undefined" in done.stderr
    assert "SyntaxError" in done.stderr


def test_leaving_takes_the_ways_of_node(cli: Cli) -> None:
    for leave in (".exit", "process.exit()", "exit()"):
        done = cli(*JS, given=f"1\n{leave}\n2\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    done = cli(*JS, given="process.exit(4)\n2\n")
    assert (done.returncode, done.stdout, done.stderr) == (4, "", "")
    done = cli(*JS, given="class Exit extends Error { name = 'Exit' }; throw new Exit('x')\n2\n")
    assert (done.returncode, done.stdout) == (1, "2\n")


def test_a_stored_session_goes_on_in_its_language(cli: Cli) -> None:
    assert cli("repl", "--session", "typed", "--language", "javascript", given="let x = 40\n").returncode == 0
    assert cli("repl", "--session", "typed", given="[x]\n  .map((one) => one + 2)\n").stdout == "[ 42 ]\n"
    refused = cli("repl", "--session", "typed", "--language", "python", given="1\n")
    assert "is in javascript" in refused.stderr


def test_typescript_is_read_by_the_same_rules(cli: Cli) -> None:
    done = cli("repl", "--language", "typescript", given="interface P {\n  n: number\n}\nconst p: P = { n: 42 }\np.n\n")
    if types_are_known():
        assert (done.returncode, done.stdout) == (0, "42\n")
    else:
        assert "22.13" in done.stderr


@pytest.fixture
def javascript(environment: dict[str, str], nothing_is_left: None) -> Iterator[Terminal]:
    session = Terminal(environment, "--language", "javascript")
    yield session
    session.child.close(force=True)


def test_a_conversation_in_javascript(javascript: Terminal) -> None:
    assert "JavaScript in a sandbox" in javascript.greeting
    javascript.enter("let a_rather_long_name = 12300\r")
    javascript.child.send("a_rather_l\t")
    javascript.child.expect("ong_name")
    assert "12345" in javascript.enter(" + 45\r")
    javascript.child.send("function f() {\r")
    javascript.child.expect(r"\.\.\. ?")
    javascript.enter("return 54320 + 1 }\r")
    assert "54321" in javascript.enter("f()\r")
    javascript.child.send("console.log('be' + 'gun'); for (;;);\r")
    javascript.child.expect("begun\r\n")
    javascript.child.sendintr()
    javascript.child.expect("Interrupted")
    javascript.child.expect(READY)
    assert "12300" in javascript.enter("a_rather_long_name\r")
    assert javascript.leave() == 0
