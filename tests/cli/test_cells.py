"""Where a cell ends."""

from __future__ import annotations

import warnings

import pytest

from sandbox.cli import cells

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
