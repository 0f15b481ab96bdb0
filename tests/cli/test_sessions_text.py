"""Trees, tables, ages and sizes as they are printed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.cli.sessions_log import drawn
from sandbox.cli.sessions_text import Column, age, cut, duration, first_line, size, table, wrapped

# --- the tree -------------------------------------------------------------------------------------------------------


def read(lines: list[tuple[str, int | None]]) -> dict[int, int]:
    """Each checkpoint's parent, as somebody sees it who follows the lines of a drawing downwards."""
    above: list[list[int]] = []  # for each column, whose line goes down in it
    parents: dict[int, int] = {}
    for graph, number in lines:
        column, mark = len(graph[: graph.index("/") - 1 if number is None else -2]) // 2, graph.strip()[-1]
        assert graph == "| " * column + ("|/" if number is None else f"{mark} ")
        if number is None:
            assert len(above) == column + 2
            above[column] += above.pop()
        else:
            assert len(above) in {column, column + 1}
            parents.update(dict.fromkeys(above.pop() if len(above) > column else [], number))
            above.append([number])
    assert len(above) == (1 if lines else 0)
    return parents | dict.fromkeys(above[0] if above else [], 0)


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(0, 40))
def test_a_drawing_has_every_checkpoint_once_and_joins_each_to_its_parent(choices: list[int], head: int) -> None:
    tree = [(number, choice % number) for number, choice in enumerate(choices, 1)]
    lines = list(drawn(tree, min(head, len(tree))))
    numbers = [line.number for line in lines if line.number]
    assert sorted(numbers) == [number for number, _ in tree]
    seen = read([(line.graph, line.number) for line in lines])
    seen.pop(0, None)
    assert seen == dict(tree)


def test_the_newest_branch_comes_first_and_straight() -> None:
    lines = list(drawn([(1, 0), (2, 1), (3, 2), (4, 1), (5, 4), (6, 2)], 6))
    assert [(line.graph, line.number) for line in lines] == [
        ("* ", 6), ("| * ", 3), ("|/", None), ("* ", 2), ("| * ", 5), ("| * ", 4), ("|/", None), ("* ", 1),
    ]  # fmt: skip


def test_what_is_before_the_first_is_drawn_if_there_are_several_firsts_or_the_head_is_there() -> None:
    assert [line.number for line in drawn([(1, 0), (2, 0)], 2)] == [2, 1, None, 0]
    assert [line.number for line in drawn([(1, 0)], 0)] == [1, 0]
    assert [line.number for line in drawn([(1, 0)], 1)] == [1]


def test_one_whose_parent_is_gone_is_drawn_as_a_first() -> None:
    assert [line.number for line in drawn([(7, 5), (8, 7)], 8)] == [8, 7]


def test_a_long_history_is_drawn() -> None:
    assert sum(line.number is not None for line in drawn([(n, n - 1) for n in range(1, 20_001)], 1)) == 20_000


# --- tables ---------------------------------------------------------------------------------------------------------

HEADS = (Column("NAME", flexible=True), Column("SIZE", right=True), Column("TEXT", flexible=True))


def test_a_table_is_aligned_and_whole_where_there_is_no_terminal() -> None:
    text = table(HEADS, [("a" * 100, "1 B", "x"), ("b", "1000 B", "y")])
    assert text.splitlines()[1:] == [f"{'a' * 100}     1 B  x", f"b{' ' * 99}  1000 B  y"]


def test_a_table_gives_way_in_its_widest_flexible_column() -> None:
    lines = table(HEADS, [("a" * 100, "1 B", "t" * 12)], most=40).splitlines()
    assert lines[1] == f"{'a' * 19}…   1 B  {'t' * 12}"
    assert max(map(len, lines)) == 40


@given(st.text(st.characters(exclude_categories=("C", "Z")), max_size=30), st.integers(1, 40))
def test_a_text_is_never_cut_to_more_than_there_is_room_for(text: str, most: int) -> None:
    def columns(text: str) -> int:
        wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text if not unicodedata.combining(char))
        return sum(not unicodedata.combining(char) for char in text) + wide

    short = cut(text, most)
    assert columns(short) <= most
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
    assert (short == text) == (columns(text) <= most) or text == "…"


def test_a_long_reason_is_broken_into_lines_of_a_terminal_only() -> None:
    text = "gen (generator): " + "word " * 40
    assert wrapped(text, None, indent="  ") == f"  {text}"
    lines = wrapped(text, 60, indent="  ").splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("  gen")
    assert all(line.startswith("    word") for line in lines[1:])


# --- figures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (86399, "23 h"),
     (86400, "1 d"), (59 * 86400, "59 d"), (61 * 86400, "2 mon"), (400 * 86400, "1.1 y"), (1e300, "?"),
     (float("inf"), "?"), (float("nan"), "?")],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1.0, "0 ms"), (0.0004, "0 ms"), (0.25, "250 ms"), (1.25, "1.2 s"), (90, "1.5 min"), (1e300, "?")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_951, "1.0 MB"), (8_000_125, "8.0 MB"),
     (10**12, "1.0 TB"), (10**16, "10000.0 TB")],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_the_first_line_of_code_that_says_something_is_shown_without_control_characters() -> None:
    assert first_line("\n\n  x = 1\n") == "x = 1"
    assert first_line("x = '\x1b[31m'\ny = 2") == "x = '\\x1b[31m' …"
    assert first_line(" \n") == ""
