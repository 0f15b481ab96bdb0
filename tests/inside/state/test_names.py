"""What is read off code before it is known what it did."""

from __future__ import annotations

import pytest

from sandbox.inside.state import names


def read(source: str) -> names.Code:
    return names.read(compile(source, "<cell 1>", "exec"))


def test_names_of_functions_and_classes_inside_are_in_it() -> None:
    source = "outer\ndef f():\n  class C:\n    x = [deep.attribute for _ in ()]"
    assert {"outer", "deep", "attribute"} <= read(source).names


def test_imports_are_listed_in_order() -> None:
    assert read("import os.path, sys\ndef f():\n  from json import dumps").imports == ("os.path", "sys", "json")


def test_many_imports_need_longer_instructions_and_are_found() -> None:
    source = "\n".join(f"import module_{number}" for number in range(600))
    assert read(source).imports == tuple(f"module_{number}" for number in range(600))


def test_attributes_that_are_assigned_or_deleted_are_listed() -> None:
    assert read("a.b = 1\ndel c.d\ne.f += 1\ng.h").stores == {"b", "d", "f"}


def test_attributes_that_are_assigned_by_their_text_are_listed() -> None:
    assert read("setattr(a, 'name', 1)").stores == {"name"}


@pytest.mark.parametrize("source", ["globals()", "exec('x')", "sys._getframe(1)", "import __main__", "f.__globals__"])
def test_code_that_can_reach_everything_says_so(source: str) -> None:
    assert read(source).escapes


def test_plain_code_does_not() -> None:
    assert not read("import re\nx = re.compile('a')\ny = x.match(z)").escapes
