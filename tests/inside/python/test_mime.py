"""Values as MIME bundles: every representation that notebooks know, bounded, and as JSON that is taken."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import LocalSandbox
from sandbox.inside.python.mime import Bundle, bounded_repr
from sandbox.inside.python.plain import TooMuch, plain


async def only(box: LocalSandbox, code: str) -> dict[str, Any]:
    """Run code that shows one value; return its data."""
    (result,) = (await box.run(code)).results
    return result.data


# --- representations ---


async def test_a_data_frame_gives_text_and_html(box: LocalSandbox) -> None:
    data = await only(box, "import pandas as pd\npd.DataFrame({'a': [1, 2]})")
    assert data["text/plain"] == "   a\n0  1\n1  2"
    assert "<th>a</th>" in data["text/html"]


@pytest.mark.parametrize(
    ("method", "returned", "mime", "content"),
    [
        ("_repr_html_", "'<b>'", "text/html", "<b>"),
        ("_repr_markdown_", "'**b**'", "text/markdown", "**b**"),
        ("_repr_latex_", "'$x$'", "text/latex", "$x$"),
        ("_repr_svg_", "'<svg/>'", "image/svg+xml", "<svg/>"),
        ("_repr_png_", "b'\\x89PNG'", "image/png", b"\x89PNG"),
        ("_repr_png_", "'iVBO\\nRw=='", "image/png", b"\x89PNG"),
        ("_repr_png_", "(b'\\x89PNG', {'width': 1})", "image/png", b"\x89PNG"),
        ("_repr_jpeg_", "b'\\xff\\xd8'", "image/jpeg", b"\xff\xd8"),
        ("_repr_pdf_", "b'%PDF'", "application/pdf", b"%PDF"),
        ("_repr_json_", "{'a': [1, None]}", "application/json", {"a": [1, None]}),
        ("_repr_javascript_", "'alert()'", "application/javascript", "alert()"),
    ],
)
async def test_each_representation_of_the_notebooks_is_taken(
    box: LocalSandbox, method: str, returned: str, mime: str, content: object
) -> None:
    code = f"class Value:\n    __repr__ = lambda self: 'value'\n    {method} = lambda self: {returned}\nValue()"
    assert await only(box, code) == {"text/plain": "value", mime: content}


async def test_a_mime_bundle_comes_before_the_single_representations(box: LocalSandbox) -> None:
    data = await only(
        box,
        """
class Value:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": "mine", "text/html": "<p>", "application/x.own+json": {"a": 1}}, {"text/html": {}}
    def _repr_html_(self): raise RuntimeError("the bundle has it already")
    def _repr_latex_(self): return "$x$"
Value()
""",
    )
    assert data == {
        "text/plain": "mine",
        "text/html": "<p>",
        "application/x.own+json": {"a": 1},
        "text/latex": "$x$",
    }


async def test_include_and_exclude_choose_and_the_text_stays(box: LocalSandbox) -> None:
    await box.run(
        "class V:\n    __repr__ = lambda s: 'v'\n    _repr_html_ = lambda s: '<p>'\n    _repr_latex_ = lambda s: '$'"
    )
    assert await only(box, "display(V(), include={'text/html'})") == {"text/plain": "v", "text/html": "<p>"}
    assert await only(box, "display(V(), exclude=['text/html'])") == {"text/plain": "v", "text/latex": "$"}


async def test_a_class_is_not_asked_for_what_its_instances_have(box: LocalSandbox) -> None:
    execution = await box.run("class Value:\n    def _repr_html_(self): return '<p>'\nValue")
    assert [result.data for result in execution.results] == [{"text/plain": "<class '__main__.Value'>"}]
    assert execution.stderr == ""


async def test_what_answers_to_any_name_has_only_its_text(box: LocalSandbox) -> None:
    data = await only(box, "from unittest.mock import MagicMock\nMagicMock(name='any')")
    assert list(data) == ["text/plain"]
    assert "MagicMock name='any'" in data["text/plain"]


async def test_a_representation_that_raises_costs_only_itself(box: LocalSandbox) -> None:
    execution = await box.run(
        """
class Value:
    __repr__ = lambda self: "value"
    _repr_html_ = lambda self: "<p>"
    def _repr_latex_(self): raise ZeroDivisionError("in latex")
    def _repr_png_(self): return 5
    def _repr_svg_(self): raise NotImplementedError("no such representation, silently")
    def _repr_pdf_(self): raise SystemExit(3)
Value()
"""
    )
    (result,) = execution.results
    assert result.data == {"text/plain": "value", "text/html": "<p>"}
    assert "Value._repr_latex_ failed" in execution.stderr
    assert 'File "<cell 1>", line 5, in _repr_latex_' in execution.stderr
    assert "ZeroDivisionError: in latex" in execution.stderr
    assert "image/png is not shown:\nTypeError: it is int, not bytes" in execution.stderr
    assert "SystemExit: 3" in execution.stderr
    assert "silently" not in execution.stderr
    assert "sandbox" not in execution.stderr, "our own frames are no part of the traceback"


async def test_a_repr_that_raises_leaves_the_other_representations(box: LocalSandbox) -> None:
    execution = await box.run(
        "class Value:\n    def __repr__(self): raise KeyError('x')\n    _repr_html_ = lambda self: '<p>'\nValue()"
    )
    (result,) = execution.results
    assert result.html == "<p>"
    assert (result.text or "").endswith("whose repr() raised>")
    assert "KeyError: 'x'" in execution.stderr
    assert execution.ok


async def test_a_value_may_display_itself(box: LocalSandbox) -> None:
    data = await only(
        box, "class Value:\n    def _ipython_display_(self): display({'text/html': '<p>'}, raw=True)\nValue()"
    )
    assert data == {"text/plain": "", "text/html": "<p>"}


# --- bounds ---


async def test_a_long_text_is_cut_and_says_so(box: LocalSandbox) -> None:
    data = await only(box, "class V:\n    __repr__ = lambda self: 'ab' * 1_000_000\nV()")
    assert len(data["text/plain"]) < 1_000_100
    assert "1000000 characters left out" in data["text/plain"]


def test_the_repr_of_a_huge_container_is_not_written_out_in_full() -> None:
    text = bounded_repr(range(0)) + bounded_repr(list(range(200_000)))
    assert text.endswith("... 190,000 of 200,000 items left out ...")
    assert "left out" in bounded_repr("x" * 2_000_000)
    assert bounded_repr(dict.fromkeys(range(150_000))).startswith("{0: None, 1: None")


async def test_an_image_that_is_too_large_gives_a_clear_text_and_costs_nothing(box: LocalSandbox) -> None:
    data = await only(
        box, "alive = 1\nclass V:\n    __repr__ = lambda s: 'v'\n    _repr_png_ = lambda s: bytes(40_000_000)\nV()"
    )
    assert data == {"text/plain": "v\n[image/png left out: it has 53.3 MB as it is sent, and 21.3 MB fit]"}
    assert (await box.run("alive")).text == "1"


async def test_representations_that_are_too_large_together_fit_one_by_one(box: LocalSandbox) -> None:
    code = """
class V:
    __repr__ = lambda s: "v"
    _repr_html_ = lambda s: "é" * 2_000_000
    _repr_svg_ = lambda s: "s" * 10_000_000
    _repr_javascript_ = lambda s: "j" * 10_000_000
V()
"""
    data = await only(box, code)
    assert set(data) == {"text/plain", "text/html", "image/svg+xml"}
    assert "application/javascript left out" in data["text/plain"]
    assert (await box.run("1")).ok


def test_text_is_measured_as_it_is_sent() -> None:
    bundle = Bundle()
    bundle.add("text/html", "é" * 3_000_000)  # six bytes each
    assert "text/html" not in bundle.data
    assert "left out: it has 18.0 MB" in bundle.finish()["text/plain"]


@pytest.mark.parametrize("mime", ["no slash", "a/" + "b" * 300, 5, ""])
def test_what_is_no_mime_type_is_refused(mime: Any) -> None:
    bundle = Bundle()
    bundle.add_all({mime: "x", "text/html": "y"})
    assert bundle.finish() == {"text/plain": "", "text/html": "y"}
    assert "is not a MIME type" in bundle.problems[0]


# --- JSON ---


async def test_odd_json_arrives_as_plain_json(box: LocalSandbox) -> None:
    data = await only(
        box,
        """
import numpy as np, pandas as pd, decimal, enum
class Color(enum.Enum): RED = "red"
class V:
    def _repr_json_(self):
        return {1: float("inf"), (1, 2): np.float32(1.5), b"k": np.array([1, np.nan]), "t": pd.NaT, "big": 10**40,
                "d": pd.Timestamp("2024-01-01"), "n": pd.NA, "np": np.datetime64("2024-01-01T00:00:00.5", "ns"),
                "delta": pd.Timedelta("1min"), "\\ud800": "\\ud800", "m": decimal.Decimal("0.5"), "s": {1},
                "c": Color.RED, "o": V}
V()
""",
    )
    found = data["application/json"]
    assert found.pop("o").startswith("<class")
    assert found == {
        "1": None,
        "(1, 2)": 1.5,
        "k": [1.0, None],
        "t": None,
        "big": "1" + "0" * 40,
        "d": "2024-01-01T00:00:00",
        "n": None,
        "s": [1],
        "np": "2024-01-01T00:00:00.500000",
        "delta": 60.0,
        "?": "?",
        "m": 0.5,
        "c": "red",
    }


_keys = st.one_of(st.text(), st.integers(), st.binary(), st.none(), st.tuples(st.integers(), st.text()))
_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()), st.binary(), st.dates(),
    st.datetimes(), st.times(), st.timedeltas(), st.complex_numbers(), st.fractions(), st.decimals(allow_nan=False),
    st.integers(min_value=2**63),
)  # fmt: skip


@given(st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(_keys, inner) | st.tuples(inner, inner)))
def test_a_strict_decoder_takes_whatever_is_made_plain(value: object) -> None:
    made = plain(value)
    assert msgspec.json.decode(json.dumps(made)) == made
    msgspec.msgpack.encode(made)


@pytest.mark.parametrize("value", [[0] * 1_100_000, [[]] * 210_000])
def test_a_value_with_too_many_parts_is_refused(value: object) -> None:
    with pytest.raises(TooMuch, match="more than"):
        plain(value)


def test_a_value_within_itself_ends() -> None:
    value: list[object] = []
    value += [value, value]
    with pytest.raises(TooMuch, match="levels"):
        plain(value)


def test_numbers_keep_their_kind() -> None:
    class Whole(int): ...

    class Text(str): ...

    made = plain([Whole(1), 1.0, True, Text("x"), math.nan])
    assert [type(part) for part in made] == [int, float, bool, str, type(None)]
