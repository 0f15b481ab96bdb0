"""What is JavaScript's own about cells."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.languages import types_are_known

from sandbox import Execution, LocalSandbox, NodeSandbox, SandboxStartError, UsageError
from sandbox.engine import node as found_node
from sandbox.protocol.messages import EnvironmentSpec

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
VEGA = "{ $schema: 'https://vega.github.io/schema/vega-lite/v5.json', mark: 'point', data: { values: [{ x: 1 }] } }"


async def test_declarations_may_be_made_again(js: LocalSandbox) -> None:
    await js.run("const x = 1; class C {}; function f() { return 1 }")
    assert (
        await js.run("const x = 2; class C { m() { return x } }; function f() { return 2 }; new C().m() + f()")
    ).text == "4"


async def test_imports_of_every_form(js: LocalSandbox) -> None:
    code = (
        "import fs, { existsSync as there } from 'fs'\nimport * as path from 'node:path'\nimport 'os'\n"
        "export const made = typeof fs.readFileSync; const os = await import('os')\n"
        "const own = import.meta.filename.endsWith('cell.js');\n"
        "[made, there('.'), path.sep, typeof os.cpus, own, 'import x from y'].join()"
    )
    assert (await js.run(code)).text == "'function,true,/,function,true,import x from y'"


async def test_a_failed_import_declares_nothing(js: LocalSandbox) -> None:
    code = "import fs from 'fs'\nimport x from 'lodash'; globalThis.ran = true"
    failed = await js.run(code, check=False)
    assert "Cannot find package 'lodash'" in str(failed.exception)
    assert (await js.run("let x = 5; var fs = 1; [x, fs, typeof ran].join()")).text == "'5,1,undefined'"


async def test_an_import_may_be_of_what_the_cell_has_made(js: LocalSandbox) -> None:
    code = "require('fs').writeFileSync('made.mjs', 'export default 7')\nimport made from './made.mjs'\nmade"
    assert (await js.run(code)).text == "7"


async def test_packages_of_the_workspace_are_found_by_require_and_import(js: LocalSandbox) -> None:
    await js.files.write("node_modules/old/index.js", "exports.a = 1; module.exports.b = () => exports.a + 1")
    await js.files.write("node_modules/new/package.json", '{"name": "new", "type": "module", "exports": "./m.js"}')
    await js.files.write("node_modules/new/m.js", "export const c = 3; export default class D { e() { return 4 } }")
    await js.run("const { b } = require('old'); import D, { c } from 'new'; const d = new D()")
    await js.stop()
    await js.start()
    assert (await js.run("[b(), c, d.e(), d instanceof D]")).text == "[ 2, 3, 4, true ]"


async def test_what_require_returns_comes_back_as_what_the_file_exports(js: LocalSandbox) -> None:
    await js.files.write("o.js", "module.exports = { a: 1 }")
    await js.files.write("c.cjs", "module.exports = { in: { deep: 2 } }")
    await js.files.write("j.json", '{"a": 3}')
    await js.files.write("node_modules/leftish/index.js", "module.exports = (text) => ' ' + text")
    await js.run("const o = require('./o.js'); const j = require('./j.json'); const left = require('leftish')")
    await js.run(
        "const same = o; const { in: inner } = require('./c.cjs'); import pad from 'leftish'; import one from './o.js'"
    )
    await js.run("process.kill(process.pid, 'SIGKILL')", check=False)
    code = "[o === same, o === require('./o.js'), o === one, inner.deep, j.a, left('x'), pad === left].join()"
    assert (await js.run(code)).text == "'true,true,true,2,3, x,true'"


async def test_what_a_file_exports_when_it_is_loaded_again_is_known(js: LocalSandbox) -> None:
    await js.files.write("o.js", "module.exports = class D {}")
    await js.run("let D = require('./o.js')")
    await js.run("D = require('./o.js')")
    await js.run("delete require.cache[require.resolve('./o.js')]; D = require('./o.js'); let d = new D()")
    await js.stop()
    await js.start()
    assert (await js.run("d instanceof require('./o.js')")).text == "true"


async def test_a_line_of_an_error_is_that_of_the_cell_after_imports(js: LocalSandbox) -> None:
    execution = await js.run("import {\n  join\n} from 'path'\n\nthrow new Error('here')", check=False)
    assert execution.exception is not None
    assert ":5\nthrow new Error('here')" in execution.exception.traceback


@pytest.mark.parametrize(
    ("code", "shows"),
    [
        ("function f( {", ":1\nfunction f( {\n             ^\n"),
        ("1\nfunction f( {\n\n", ":2\nfunction f( {\n             ^\n"),
        ("1\n2 +* 3", ":2\n2 +* 3\n   ^\n"),
        ("import fs from 'fs'\n2 +* 3", ":2\n2 +* 3\n   ^\n"),
    ],
)
async def test_what_does_not_compile_is_shown_with_its_line(js: LocalSandbox, code: str, shows: str) -> None:
    refused = await js.run(code, check=False)
    assert refused.exception is not None
    assert shows in refused.exception.traceback
    assert "language=" not in refused.exception.traceback


@pytest.mark.parametrize("code", ["let z: number = 5", "import fs from 'fs'\nlet z: number = 5", "enum E { A }"])
async def test_types_in_javascript_are_pointed_out(js: LocalSandbox, code: str) -> None:
    refused = await js.run(code, check=False)
    assert refused.exception is not None
    assert ('language="typescript"' in refused.exception.message) == types_are_known()
    parsed = await js.run("JSON.parse('let z: number')", check=False)
    assert "language=" not in str(parsed.exception)


async def test_typescript_loses_its_types(js: LocalSandbox) -> None:
    code = "interface P { x: number }\nconst p: P = { x: 1 }\nenum E { A = 5 }\np.x + E.A"
    execution = await js.run(code, language="typescript", check=False)
    if types_are_known():
        assert execution.text == "6"
    else:
        assert execution.exception is not None
        assert "22.13" in execution.exception.message


async def test_what_is_thrown_later_is_printed_and_the_session_goes_on(js: LocalSandbox) -> None:
    execution = await js.run(
        "setTimeout(() => { throw new TypeError('late') }, 1); await new Promise(g => setTimeout(g, 20))"
    )
    assert execution.status == "ok"
    assert "Uncaught" in execution.stderr
    assert "late" in execution.stderr
    execution = await js.run("Promise.reject(new Error('nobody')); await new Promise(g => setTimeout(g, 5))")
    assert "nobody" in execution.stderr


async def test_what_is_not_an_error_can_be_thrown(js: LocalSandbox) -> None:
    execution = await js.run("throw { code: 5 }", check=False)
    assert execution.exception is not None
    assert "code: 5" in execution.exception.traceback


async def test_a_loop_after_an_await_and_one_in_a_microtask_are_interrupted(js: LocalSandbox) -> None:
    await js.run("let kept = 1; process.on('SIGINT', () => {})")
    loops = (
        "await 1; while (true) {}",
        "Promise.resolve().then(() => { for (;;); })",
        "for (;;);",
    )
    for code in loops:
        execution = await js.run(code, timeout=0.4, check=False)
        assert (execution.status, str(execution.state)) == ("timeout", "kept"), code
    assert (await js.run("kept")).text == "1"


async def test_a_wait_that_nobody_can_end_is_ended_also_after_the_collector_has_run(js: LocalSandbox) -> None:
    await js.run("let kept = 1")
    code = (
        "setTimeout(() => { for (let n = 0; n < 200; n++) new Array(50000).fill({}) }, 1); await new Promise(() => {})"
    )
    execution = await js.run(code, timeout=1, check=False)
    assert (execution.status, str(execution.state)) == ("timeout", "kept")
    assert (await js.run("for (let n = 0; n < 200; n++) new Array(50000).fill({}); kept")).text == "1"


async def test_a_full_heap_is_a_memory_failure_and_the_session_goes_on_from_before(node: object) -> None:
    async with NodeSandbox.create_local(memory=192) as box:
        await box.run("let kept = 1")
        execution = await box.run("const rows = []; for (;;) rows.push({ n: rows.length, s: [1, 2, 3] })", check=False)
        assert (str(execution.cause), str(execution.state)) == ("memory", "restored")
        assert (await box.run("kept")).text == "1"
        await box.delete()


async def test_values_that_show_themselves(js: LocalSandbox) -> None:
    execution = await js.run(
        f"display({VEGA}); display({{ data: [{{ type: 'bar', y: [1] }}], layout: {{}} }});"
        f"display(Buffer.from('{PNG}', 'base64')); display({{ 'text/html': '<i>' }}, {{ raw: true }});"
        "display({ [Symbol.for('Jupyter.display')]: () => ({ 'text/markdown': '*a*' }) })"
    )
    mimes = [set(result.data) - {"text/plain"} for result in execution.results]
    assert mimes == [
        {"application/vnd.vegalite.v5+json"}, {"application/vnd.plotly.v1+json"}, {"image/png"}, {"text/html"},
        {"text/markdown"},
    ]  # fmt: skip
    assert execution.results[0].data["application/vnd.vegalite.v5+json"]["mark"] == "point"
    assert [result.chart and result.chart["type"] for result in execution.results[:3]] == ["scatter", "bar", None]
    assert [artifact.mime for artifact in execution.artifacts] == ["image/png"]


async def test_a_table_is_printed_and_shown_as_html(js: LocalSandbox) -> None:
    execution = await js.run("console.table([{ a: 1, b: '<x>' }])")
    assert "│" in execution.stdout
    assert "<td>&lt;x&gt;</td>" in execution.results[0].data["text/html"]


async def test_a_value_that_fails_to_show_itself_does_not_fail_the_cell(js: LocalSandbox) -> None:
    execution = await js.run("({ toMIME() { throw new Error('no picture') }, a: 1 })")
    assert execution.status == "ok"
    assert "no picture" in execution.stderr
    assert "a: 1" in (execution.text or "")


_NASTY = "{ [Symbol.for('nodejs.util.inspect.custom')]() { throw %s } }"
_THROWS = _NASTY % (_NASTY % "1")
_REVOKED = "(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy })()"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (f"throw {_THROWS}", "[object that cannot be shown] was thrown, which is not an Error"),
        (f"throw {_REVOKED}", "<Revoked Proxy> was thrown, which is not an Error"),
        (f"throw Object.assign(new Error('a'), {{ code: {_THROWS}, cause: {_REVOKED} }})", "a"),
        ("throw Object.assign(new Error('b'), { code: { toString() { throw 1 } } })", "b"),
        ("throw Object.defineProperty(new Error('c'), 'stack', { get() { throw 1 } })", "c"),
        (f"const e = new Error(); e.message = {_THROWS}; throw e", "[object that cannot be shown]"),
        (f"throw Object.setPrototypeOf(new Error('d'), {_REVOKED})", "d"),
    ],
)
async def test_a_cell_ends_whatever_it_throws(js: LocalSandbox, code: str, message: str) -> None:
    """What is thrown is the code's own, and so is what happens when somebody looks at it."""
    await js.run("x = 1")
    execution = await js.run(code, check=False, timeout=30)
    assert (execution.status, execution.exception.message, execution.state) == ("error", message, "kept")  # type: ignore[union-attr]
    assert (await js.run("x")).text == "1"


@pytest.mark.parametrize(
    "shows", ["'text/html': '\u20ac'.repeat(12e6)", "'text/html': '\0'.repeat(1e7)",
              "'application/json': { a: '\u20ac'.repeat(15e6) }"],
)  # fmt: skip
async def test_a_representation_is_as_large_as_the_bytes_that_it_takes(js: LocalSandbox, shows: str) -> None:
    execution = await js.run(f"({{ toMIME() {{ return {{ {shows} }} }} }})", timeout=30)
    assert "left out: it has" in str(execution.text)
    await js.run(f"display({{ {shows} }}, {{ raw: true }})", timeout=30)


async def test_a_value_that_cannot_be_looked_at_in_any_way_is_a_result(js: LocalSandbox) -> None:
    execution = await js.run(f"({_THROWS})", timeout=30)
    assert (execution.text, "cannot be shown" in execution.stderr) == ("[object that cannot be shown]", True)
    later = await js.run(f"setTimeout(() => {{ throw {_THROWS} }}); await new Promise(r => setTimeout(r, 20)); 2")
    assert (later.text, later.stderr) == ("2", "Uncaught [object that cannot be shown]\n")


async def test_completions_come_from_the_live_session(js: LocalSandbox) -> None:
    await js.run("const table = { rows: 1, rank: 2, get risky() { throw 1 } }")
    assert await js.complete("table.r") == ["table.rank", "table.risky", "table.rows"]
    assert "table" in await js.complete("tab")
    assert await js.complete("table.risky.") == []


async def test_the_cache_counts_cells_by_their_code_and_language(js: LocalSandbox) -> None:
    assert [(await js.run("1 + 1")).cache_hit for _ in range(2)] == [False, True]
    assert not (await js.run("2", cache_key="k")).cache_hit
    assert not (await js.run("3", cache_key="k")).cache_hit


async def test_signals_to_itself_end_the_worker_and_are_told(js: LocalSandbox) -> None:
    for code, name in (("process.kill(process.pid, 'SIGTERM')", "SIGTERM"), ("process.abort()", "SIGABRT")):
        execution = await js.run(code, check=False)
        assert execution.cause is not None
        assert name in execution.cause.message
    assert (await js.run("process.kill(process.pid, 0)")).text == "true"
    assert (await js.run("process.kill(process.pid, 'SIGCONT'); 5")).text == "5"


# --- which Node ------------------------------------------------------------------------------------------------------


async def test_a_node_can_be_named_by_its_path(node: object) -> None:
    path = found_node.find(EnvironmentSpec()).executable
    async with NodeSandbox.create_local(environment=path) as box:
        assert (await box.run("1 + 1")).text == "2"
        await box.delete()


def fake(directory: Path, says: str) -> str:
    program = directory / "bin" / "node"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{says}'\n", "utf-8")
    program.chmod(0o755)
    return str(directory)


def test_an_old_node_and_what_is_none_are_refused(tmp_path: Path) -> None:
    old = fake(tmp_path / "old", '["18.1.0", "/x/node", 5, "function", "function"]')
    with pytest.raises(SandboxStartError, match=r"Node 18\.1\.0; sessions need 20\.12"):
        found_node.find(EnvironmentSpec(path=old))
    bare = fake(tmp_path / "bare", '["24.0.0", "/x/node", 5, "undefined", "function"]')
    with pytest.raises(SandboxStartError, match="without what Node's own prompt"):
        found_node.find(EnvironmentSpec(path=bare))
    with pytest.raises(SandboxStartError, match="no Node that sessions could use"):
        found_node.find(EnvironmentSpec(path=fake(tmp_path / "else", "hello")))
    with pytest.raises(UsageError, match="neither a Node program"):
        found_node.find(EnvironmentSpec(path=str(tmp_path)))
    with pytest.raises(UsageError, match="node_modules"):
        found_node.find(EnvironmentSpec(packages=("left-pad",)))


def test_without_any_node_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_node, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(SandboxStartError, match=r"enhanced-sandbox\[node\]"):
        found_node.find(EnvironmentSpec())


async def test_limits_that_no_node_starts_with_are_refused(make: Callable[..., LocalSandbox]) -> None:
    with pytest.raises(UsageError, match="128 MB"):
        await make(language="javascript", memory=64).start()


async def test_smaller_limits_than_a_parked_worker_has_hold(node: object, make: Callable[..., LocalSandbox]) -> None:
    box = await make(language="javascript", disk=1)
    execution = await box.run("require('fs').writeFileSync('big', Buffer.alloc(3_000_000))", check=False)
    assert str(execution.cause) == "disk"


SAME = [
    "x = 1", "({ a: 1 })", "{ a: 1 }", "[1, 2].map((x) => x * 2)", "Promise.resolve(4)", "null.x", "throw 5", "f(1)",
    "throw new SyntaxError('mine')", "JSON.parse('{')", "x = = 1", "'use strict'; undeclared = 1", "return 5", "}",
    "\n\n  null.foo", "new Array(-1)", "RegExp('(')", "process.exit(3)", "process.exit(0)", "this === globalThis",
    "[0].map((n) => { throw new RangeError(String(n)) })", "with ({ q: 4 }) q", "#!shebang\n5", "new.target",
    "Promise.resolve().then(() => console.log('a')).then(() => console.log('b')).then(() => console.log('c')); 5",
    "Promise.reject(new Error('nobody')); 5", "process.nextTick(() => { throw new Error('tick') }); 1",
    "process.nextTick(() => process.exit(2)); 5", "throw Object.assign(new Error('e'), { cause: new Error('c') })",
    "console.log('out'); console.error('err'); 5", "display(7); 8", "y", "undefined", "setTimeout(() => {}, 0); 3",
]  # fmt: skip


async def test_what_is_run_as_a_script_is_as_what_a_prompt_runs(js: LocalSandbox) -> None:
    """The word in the comment has the inspector run the same code."""
    await js.run("let y = 41; function f(n) { return n + y }")
    for code in SAME:
        fast, slow = [await js.run(f"{code}\n/* {word} */", check=False) for word in ("word", "let")]
        told = [
            (one.status, one.text, one.stdout, _unnumbered(one.stderr), [shown.data for shown in one.results])
            for one in (fast, slow)
        ]
        assert told[0] == told[1], code
        assert _raised(fast) == _raised(slow), code
        assert (fast.state, slow.state) == ("kept", "kept")


def _raised(execution: Execution) -> tuple[str, ...] | None:
    raised = execution.exception
    if raised is None:
        return None
    return raised.error_type, raised.message, _unnumbered(raised.traceback)


def _unnumbered(text: str) -> str:
    return re.sub(r"cell-\d+", "cell", text).replace("/* let */", "/* word */")


async def test_what_a_tick_throws_is_printed_and_costs_nothing(js: LocalSandbox) -> None:
    await js.run("let kept = 1")
    execution = await js.run("process.nextTick(() => { throw new TypeError('tick') }); await 1; kept")
    assert (execution.status, execution.text, execution.state) == ("ok", "1", "kept")
    assert "Uncaught TypeError: tick" in execution.stderr
    ended = await js.run("process.nextTick(() => process.exit(4)); for (let n = 0; n < 3; n++) await n", check=False)
    assert (ended.exception and ended.exception.message, ended.state) == ("process.exit(4)", "kept")
    await js.run("process.once('uncaughtException', (error) => console.log('heard', error.message))")
    assert "heard x" in (await js.run("process.nextTick(() => { throw Error('x') })")).stdout
    assert (await js.run("kept")).text == "1"


async def test_a_loop_in_a_tick_is_interrupted(js: LocalSandbox) -> None:
    await js.run("kept = 1")
    execution = await js.run("process.nextTick(() => { for (;;); })", timeout=0.3, check=False)
    assert (execution.status, execution.state) == ("timeout", "kept")
    assert (await js.run("for (;;);", timeout=0.3, check=False)).status == "timeout"
    assert (await js.run("kept")).text == "1"


async def test_a_request_that_comes_in_pieces_is_taken_whole(js: LocalSandbox) -> None:
    long = "// " + "é" * 300_000 + "\n6 * 7"
    assert [(await js.run(long)).text for _ in range(2)] == ["42", "42"]


async def test_how_a_cell_has_all_objects_written_is_not_how_ours_are(js: LocalSandbox) -> None:
    polluted = "Object.prototype.toJSON = () => 'mine'; Array.prototype.toJSON = () => 7; let kept = [1]; 1"
    first = await js.run(polluted)
    assert (first.text, first.state, first.warnings) == ("1", "kept", ())
    assert (await js.run("const more = { a: kept }; JSON.stringify(kept)")).text == "'7'"
    await js.run("delete Object.prototype.toJSON; delete Array.prototype.toJSON;")
    await js.stop()
    await js.start()
    restored = await js.run("JSON.stringify([kept, more])")
    assert (restored.text, restored.state.lost_names) == ("'[[1],{\"a\":[1]}]'", ())
