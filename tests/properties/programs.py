"""Random programs that end, print the same each time, and are of a small part of Python."""

from __future__ import annotations

from textwrap import indent

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
CLEAR = "for a in [n for n in globals() if len(n) == 1 and n != 'a']: del globals()[a]"
LOOK = "print(sorted((n, repr(v)) for n, v in globals().items() if n in ('a', 'b', 'c', 'd')))"
START = "a, b, c, d = 3, 'text', [1, 2, 3], {'k': 1}"
_numbers = st.integers(-20, 20).map(str)
_texts = st.sampled_from(["''", "'x'", "'two words'", "'ä\\n'", "b'bytes'"])
_atoms = _numbers | _texts | st.sampled_from([*NAMES, "None", "True", "2.5", "()", "1e3", "[]", "{}", "range(3)"])


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "//", "%", "==", "<", "and", "or", "in", "is not", "|", "&"])
    functions = st.sampled_from(["len", "str", "repr", "sorted", "list", "tuple", "type", "bool", "sum", "max", "abs"])
    one = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(functions, inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        one.map(lambda pair: f"[{pair[0]}, {pair[1]}]"),
        one.map(lambda pair: f"{{{pair[0]}: {pair[1]}}}"),
        one.map(lambda pair: f"{pair[0]}[{pair[1]}]"),
        one.map(lambda pair: f"[{pair[0]} for x in {pair[1]}]"),
        one.map(lambda pair: f"(lambda x={pair[0]}: [x, {pair[1]}])()"),
        inner.map(lambda text: f"f'<{{{text}!r:>8}}>'" if not set("'\\{}:!") & set(text) else text),
        inner.map(lambda text: f"{text}[1:]"),
    )


expressions = st.recursive(_atoms, _expressions, max_leaves=5)
_targets = st.sampled_from(NAMES)
_simple = st.one_of(
    st.tuples(_targets, expressions).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.tuples(_targets, expressions).map(lambda pair: f"{pair[0]} += {pair[1]}"),
    expressions.map(lambda text: f"print({text})"),
    st.tuples(_targets, expressions).map(lambda pair: f"{pair[0]}.append({pair[1]})"),
    st.tuples(_targets, expressions, expressions).map(lambda three: f"{three[0]}[{three[1]}] = {three[2]}"),
    st.sampled_from([f"del {name}" for name in NAMES]),
    expressions.map(lambda text: f"assert {text}, 'asserted'"),
    expressions.map(lambda text: f"raise ValueError({text})"),
    st.tuples(_targets, _targets).map(lambda pair: f"{pair[0]}, {pair[1]} = {pair[1]}, {pair[0]}"),
    st.sampled_from(["import math; a = math.sqrt(16)", "import sys; print('err', file=sys.stderr)"]),
)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map(lambda lines: indent("\n".join(lines), "    "))
    pair = st.tuples(expressions, body)
    return st.one_of(
        pair.map(lambda two: f"if {two[0]}:\n{two[1]}\nelse:\n    print('else')"),
        pair.map(lambda two: f"for b in list({two[0]})[:4]:\n{two[1]}"),
        body.map(lambda text: f"try:\n{text}\nexcept (TypeError, NameError, LookupError) as e:\n    print(repr(e))"),
        pair.map(lambda two: f"def f(x={two[0]}):\n    a = b = c = d = x\n{two[1]}\n    return a\nprint(f())"),
        body.map(lambda text: f"def h():\n    global a, b, c, d\n{text}\nh()"),
        pair.map(lambda two: f"class C:\n    k = {two[0]}\n    def m(self, a=1, b=2, c=3, d=4):\n"
                 f"{indent(two[1], '    ')}\n        return self.k\nd = C.k\nprint(C().m())"),
        pair.map(lambda two: f"def g():\n    a = b = c = d = 1\n    yield {two[0]}\n{two[1]}\n"
                 "    yield 'last'\nprint(list(g()))"),
        body.map(lambda text: f"with open('/dev/null') as file:\n{text}"),
    )  # fmt: skip


statements = st.recursive(_simple, _compound, max_leaves=6)
# Most are guarded, or else most programs would end with the first of them.
_guarded = statements.map(lambda text: f"try:\n{indent(text, '    ')}\nexcept Exception as e:\n    print(type(e), e)")
programs = st.lists(st.integers(0, 9).flatmap(lambda one: _guarded if one else statements), min_size=1, max_size=8)
