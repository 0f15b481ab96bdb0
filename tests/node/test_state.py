"""What comes back of a session in JavaScript, and what is named as lost."""

from __future__ import annotations

from pathlib import Path

from sandbox import LocalSandbox

_BLOCKS = Path(__file__).with_name("kept.js").read_text("utf-8").strip().split("\n\n")[1:]
KEPT = [(declaration, holds) for declaration, _, holds in (block.partition("\n//= ") for block in _BLOCKS)]

# Declarations of it0, it1 and so on, and why each is lost.
LOST = [
    ("const it0 = (() => { let n = 0; return () => ++n })()", "closure"),
    ("const it1 = ((x) => x).bind(null, 1)", "no source"),
    ("class P { #x = 1; get() { return this.#x } }\nconst it2 = new P()", "private fields"),
    ("const it3 = new Proxy({}, {})", "Proxy"),
    ("const it4 = [new Promise(() => {})]", "Promise"),
    ("const it5 = (function* () { yield 1 })()", "Generator"),
    ("const it6 = new WeakMap()", "WeakMap"),
    ("const it7 = setTimeout(() => {}, 1); clearTimeout(it7)", "Timeout"),
    ("const it8 = new (require('net').Socket)()", "Socket"),
    ("const it9 = new Intl.NumberFormat()", "NumberFormat"),
]


async def restarted(box: LocalSandbox) -> None:
    await box.stop()
    await box.start()


async def test_every_kind_of_value_comes_back_as_it_was(js: LocalSandbox) -> None:
    for declaration, _ in KEPT:
        execution = await js.run(declaration)
        assert execution.state.lost_names == (), declaration
    for _ in range(2):  # what was restored is saved and restored again
        for declaration, holds in KEPT:
            assert (await js.run(holds)).text == "true", declaration
        await restarted(js)


async def test_declarations_come_back_as_what_they_were(js: LocalSandbox) -> None:
    await js.run("const c = 1; let l = 1; class C {}; var v = 1; import fs from 'fs'")
    for _ in range(2):
        await restarted(js)
        refused = await js.run("c = 2", check=False)
        assert "TypeError" in str(refused.exception)
        await js.run("const c = 2; let l = 2; class C {}; var v = 2; import fs from 'fs'")
    assert (await js.run("c + l + v")).text == "6"


async def test_what_cannot_be_kept_is_named_with_its_reason(js: LocalSandbox) -> None:
    for number, (declaration, why) in enumerate(LOST):
        execution = await js.run(declaration)
        assert f"it{number}" in execution.state.lost_names, declaration
        assert why in next(one.lost or "" for one in js.variables() if one.name == f"it{number}")
    await restarted(js)
    for number, (declaration, why) in enumerate(LOST):
        execution = await js.run(f"it{number}", check=False)
        assert execution.exception is not None, declaration
        assert execution.exception.error_type == "StateLost"
        assert why in execution.exception.message
        assert f"it{number}" not in (await js.run(f"let it{number} = 1")).state.lost_names


async def test_what_a_function_reaches_is_saved_though_the_cell_does_not_name_it(js: LocalSandbox) -> None:
    await js.run("const log = []; function note(x) { log.push(x) } const outer = { call(x) { note(x) } }")
    await js.run("outer.call(5)")
    await restarted(js)
    assert (await js.run("log.length")).text == "1"


async def test_what_one_name_changes_of_another_s_object_is_saved(js: LocalSandbox) -> None:
    await js.run("const a = { deep: { n: 1 } }; const b = [a.deep]")
    await js.run("b[0].n = 2")
    await restarted(js)
    assert (await js.run("a.deep.n === 2 && b[0] === a.deep")).text == "true"


async def test_groups_join_and_fall_apart(js: LocalSandbox) -> None:
    await js.run("const one = { n: 1 }, two = { n: 2 }")
    await js.run("one.other = two")
    await js.run("two.n = 3")
    await js.run("delete one.other; one.n = 4")
    await restarted(js)
    assert (await js.run("[one.n, one.other, two.n]")).text == "[ 4, undefined, 3 ]"


async def test_what_a_timer_changes_between_executions_is_saved_with_the_next(js: LocalSandbox) -> None:
    await js.run("const seen = []; const timer = setInterval(() => seen.push(1), 1)")
    await js.run("await new Promise((go) => setTimeout(go, 20)); clearInterval(timer); const count = seen.length")
    await restarted(js)
    assert (await js.run("seen.length >= count && count > 0")).text == "true"


async def test_a_deleted_variable_stays_deleted(js: LocalSandbox) -> None:
    await js.run("globalThis.gone = [1]; globalThis.there = [2]")
    await js.run("delete globalThis.gone")
    await restarted(js)
    assert (await js.run("[typeof gone, there[0]]")).text == "[ 'undefined', 2 ]"


async def test_the_directory_and_the_environment_come_back(js: LocalSandbox) -> None:
    await js.run(
        "require('fs').mkdirSync('deep'); process.chdir('deep'); process.env.MINE = 'yes'; delete process.env.USER"
    )
    await restarted(js)
    text = (await js.run("[process.cwd().endsWith('deep'), process.env.MINE, process.env.USER]")).text
    assert text == "[ true, 'yes', undefined ]"


async def test_an_execution_that_changes_nothing_writes_nothing(js: LocalSandbox) -> None:
    await js.run("const data = { rows: [1, 2, 3] }")
    before = {one.name: one.since for one in js.variables()}
    await js.run("data.rows.length")
    await js.run("1 + 1")
    assert {one.name: one.since for one in js.variables()} == before
    await js.run("data.rows.push(4)")
    assert {one.name: one.since for one in js.variables()} == {"data": 4}


async def test_checkpoints_are_compared_by_name(js: LocalSandbox) -> None:
    await js.run("const kept = [1]; let gone = 1")
    await js.run("kept.push(2); const fresh = {}")
    difference = js.diff(1, 2)
    assert (difference.variables.added, difference.variables.changed) == (("fresh",), ("kept",))
