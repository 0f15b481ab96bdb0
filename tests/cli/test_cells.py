"""Where a cell ends."""

from __future__ import annotations

import warnings

import pytest

from sandbox.cli import cells, cells_node

WHOLE = [
    "", "   ", "x = 1", "x", "1 +", "x = = 1", "await f()", "!ls (", "%files", "f(\n)", "'''a\nb'''",
    "if x:\n    y\n", "if x:\n    y\n    ", "for x in y:\n    await x\n", "x = 1\ny = 2", "def f():\n    return 1\nf()",
    "return", "x = 'a", "\0", "é = 1",
]  # fmt: skip
UNFINISHED = [
    "if x:", "if x: y", "class A: pass",
    "if x:\n    y", "f(", "x = '''", "x = [1,\n2", "@decorator", "def f():\n    return 1", "x = 1 + \\",
    "async with x:", "try:\n    x\n", "for x in y:\n    await x", "if x:\n    y\nelse:",
]  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_a_whole_cell(text: str) -> None:
    assert cells.is_complete(text)


@pytest.mark.parametrize("text", UNFINISHED)
def test_a_cell_that_goes_on(text: str) -> None:
    assert not cells.is_complete(text)


@pytest.mark.parametrize("text", ["(" * 5000, "-" * 200_000 + "1", "x" + ".a" * 50_000, "if x:\n" * 200])
def test_no_text_is_too_much(text: str) -> None:
    assert cells.is_complete(text) in {True, False}
    assert "".join(cells.split(text)) == text


def test_compiling_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cells.is_complete("1 is 1")
        assert list(cells.split("'\\d'\n1 is 1")) == ["'\\d'", "1 is 1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# nothing\n", []),
        ("x = 1\nx\n", ["x = 1", "x"]),
        ("a = 1; b = 2\nb", ["a = 1; b = 2", "b"]),
        ("if x:\n    y\nelse:\n    z\nw", ["if x:\n    y\nelse:\n    z", "w"]),
        ("@d\n@e\ndef f():\n\n    pass\nf", ["@d\n@e\ndef f():\n\n    pass", "f"]),
        ("x = 1\n!ls\ny", ["x = 1", "!ls", "y"]),
        ("x = '''\n!ls\n%files\n'''\n%files", ["x = '''\n!ls\n%files\n'''", "%files"]),
        ("x = 1\ny = = 2\nz", ["x = 1", "y = = 2\nz"]),
        ("x = 1\nif x:\n    y\n    z z\nw", ["x = 1", "if x:\n    y\n    z z\nw"]),
        ("x = 1\nif x:\n    y\nelse:\n    z z\nw", ["x = 1", "if x:\n    y\nelse:\n    z z\nw"]),
        ("x = 1\nif x:\n    y\n# note\nz z", ["x = 1", "if x:\n    y\n# note", "z z"]),
        ("x = 1\nif x:\n", ["x = 1", "if x:\n"]),
        ("x = 1\ny = f(2,\nz\n", ["x = 1", "y = f(2,\nz\n"]),
        ("x = 1\ny = '''\nz\n", ["x = 1", "y = '''\nz\n"]),
        ("x = 1\n@d\ndef f(:\n    pass", ["x = 1", "@d\ndef f(:\n    pass"]),
        ("x = 1\n  y", ["x = 1\n  y"]),
        ("= 1", ["= 1"]),
        ("x = 1\0", ["x = 1\0"]),
        ("await f()\nx", ["await f()", "x"]),
    ],
)
def test_a_text_is_split_into_statements(text: str, expected: list[str]) -> None:
    assert list(cells.split(text)) == expected


@pytest.mark.parametrize("text", ["exit", "exit()", "quit()", " exit( 0 ) ", "sys.exit()", "sys.exit(None)"])
def test_leaving(text: str) -> None:
    assert cells.leaves(text)


@pytest.mark.parametrize("text", ["exit(1)", "exits", "x.exit()", "exit = 1", "print('exit()')", ""])
def test_not_leaving(text: str) -> None:
    assert not cells.leaves(text)


# --- JavaScript and TypeScript ---

NODE_WHOLE = [
    "", "let x = 1", "f(\n1)", "({ a: 1 })", "if (x) y", "if (x) {\n}", "`a\n${ `b` + {c: 1}.c }\n`", "/* ( */", "// (",
    "'('", '"\\"("', "/[/(]/.test(x)", "a / (b / c)", "x++", "do { x } while (y)", "!ls (", "%files", ")", "f(]",
    "const f = (a) => a", "try { x } catch { y }", "let n: Array<number>", "x!", "return", "async () => {}", "x = '",
    "function f() {\n  return 1\n}", "a\n.b()", "(1)/(2)", "x = y / 2 // (", "interface A { b: string }",
    "enum E { A }",
]  # fmt: skip
NODE_UNFINISHED = [
    "f(", "{", "x = [1,\n2", "`a", "`${", "`${a} b", "/* a", "x =", "x = y +", "a &&", "(a) =>", "if (x)", "for (;;)",
    "while (x)", "else", "if (x) { } else", "function f(a)", "const", "a.", "a ?", "do { x }", "try { x }",
    "try { x } catch (e)", "class A {", "f('(', `)`", "x = /[)]/.test(", "{ `}` ", "type A =", "switch (x)", "`\\`",
]  # fmt: skip


@pytest.mark.parametrize("text", NODE_WHOLE)
def test_a_whole_cell_of_node(text: str) -> None:
    assert cells_node.is_complete(text)


@pytest.mark.parametrize("text", NODE_UNFINISHED)
def test_a_cell_of_node_that_goes_on(text: str) -> None:
    assert not cells_node.is_complete(text)


@pytest.mark.parametrize(
    "text", ["(" * 50_000, "`${" * 20_000, "x\n" * 20_000, "a /" * 20_000, "\\" * 10_000, "'" * 9999]
)
def test_no_text_of_node_is_too_much(text: str) -> None:
    assert cells_node.is_complete(text) in {True, False}
    assert "\n".join(cells_node.split(text)) == text.rstrip("\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("// nothing\n\n/* more\n*/", ["// nothing\n\n/* more\n*/"]),
        ("let x = 1\nx\n", ["let x = 1", "x"]),
        ("// note\nlet x = 1;\n\nx", ["// note\nlet x = 1;", "x"]),
        ("if (x) {\n  y\n}\nelse {\n  z\n}\nw", ["if (x) {\n  y\n}\nelse {\n  z\n}", "w"]),
        ("try {\n  y\n}\ncatch {\n}\nfinally {\n}\nw", ["try {\n  y\n}\ncatch {\n}\nfinally {\n}", "w"]),
        ("do {\n  y\n}\nwhile (x)\nw", ["do {\n  y\n}\nwhile (x)", "w"]),
        ("if (x)\n  y\nz", ["if (x)\n  y", "z"]),
        ("[1]\n  .map(f)\n  .length\n!ls\n%files\ny", ["[1]\n  .map(f)\n  .length", "!ls", "%files", "y"]),
        ("x\n.exit\ny", ["x", ".exit", "y"]),
        ("const t = `\n!ls\n`\nt", ["const t = `\n!ls\n`", "t"]),
        ("x = 1\n+ 2\n++x\n...y", ["x = 1\n+ 2", "++x", "...y"]),
        ("f(]\ny", ["f(]", "y"]),
        ("x\ny = (\nz\n", ["x", "y = (\nz"]),
    ],
)  # fmt: skip
def test_a_text_of_node_is_split_into_what_is_whole(text: str, expected: list[str]) -> None:
    assert list(cells_node.split(text)) == expected


@pytest.mark.parametrize("text", [".exit", "exit", "exit();", "process.exit()", "process.exit(0);", " quit() "])
def test_leaving_node(text: str) -> None:
    assert cells_node.leaves(text)


@pytest.mark.parametrize("text", ["process.exit(1)", "x.exit", "exits", "exit = 1", "process", ""])
def test_not_leaving_node(text: str) -> None:
    assert not cells_node.leaves(text)
