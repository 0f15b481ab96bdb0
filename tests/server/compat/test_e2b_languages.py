"""JavaScript and TypeScript for E2B's code interpreter: in sessions of their own, on the sandbox's files."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from e2b import SandboxException
from e2b_code_interpreter.charts import BarChart
from tests.contract.languages import types_are_known
from tests.server.compat.conftest import point_at
from tests.serving import Serving

WHERE = "require('path').basename(process.cwd())"
WRITES = "require('fs').writeFileSync('from_js.txt', 'js'); const x = 40; x + 1"


def test_javascript_runs_beside_python_on_the_same_files(box: Any) -> None:
    box.run_code("open('from_python.txt', 'w').write('python'); x = 'python'")
    execution = box.run_code(WRITES, language="javascript")
    assert execution.error is None
    assert execution.text == "41"
    assert box.run_code("require('fs').readFileSync('from_python.txt', 'utf8') + x", language="js").text == "python40"
    assert box.run_code("open('from_js.txt').read() + x").text == "jspython"
    assert box.files.read("/home/user/from_js.txt") == "js"
    box.files.write("written.txt", "by the client")
    assert box.run_code("require('fs').readFileSync('written.txt', 'utf8')", language="js").text == "by the client"


def test_what_javascript_prints_shows_and_throws_comes_as_it_does_of_python(box: Any) -> None:
    printed: list[str] = []
    code = "console.log('out'); console.error('err'); display({ toMIME() { return { 'text/html': '<b>x</b>' } } }); 7"
    execution = box.run_code(code, language="javascript", on_stdout=lambda one: printed.append(one.line))
    assert "".join(printed) == "out\n"
    assert "".join(execution.logs.stderr) == "err\n"
    assert [one.html for one in execution.results] == ["<b>x</b>", None]
    assert execution.text == "7"
    failed = box.run_code("\nthrow new RangeError('no such thing')", language="javascript").error
    assert (failed.name, failed.value) == ("RangeError", "no such thing")
    assert "throw new RangeError" in failed.traceback


def test_a_figure_of_javascript_comes_with_its_chart(box: Any) -> None:
    code = "({ data: [{ type: 'bar', x: ['a', 'b'], y: [1, 2] }], layout: { title: { text: 'T' } } })"
    (result,) = box.run_code(code, language="javascript").results
    assert isinstance(result.chart, BarChart)
    assert (result.chart.title, [one.value for one in result.chart.elements]) == ("T", [1, 2])
    assert result.extra["application/vnd.plotly.v1+json"]["data"][0]["x"] == ["a", "b"]


def test_typescript_shares_the_variables_of_javascript(box: Any) -> None:
    box.run_code("let n = 40", language="javascript")
    execution = box.run_code("let m: number = n + 1; m", language="typescript")
    if types_are_known():
        assert execution.text == "41"
        assert box.run_code("n + m", language="javascript").text == "81"
    else:
        assert "22.13" in execution.error.value
    assert box.run_code("let n: number = 1", language="javascript").error.name == "SyntaxError"


def test_a_context_in_javascript_has_variables_and_a_directory_of_its_own(box: Any) -> None:
    box.files.make_dir("sub")
    box.run_code("const x = 1", language="javascript")
    context = box.create_code_context(language="javascript", cwd="/home/user/sub")
    typed = box.create_code_context(language="typescript")
    assert box.run_code(f"typeof x + {WHERE}", context=context).text == "undefinedsub"
    assert (box.run_code("let x: number = 2; x", context=typed).text == "2") == types_are_known()
    assert box.run_code("x", language="javascript").text == "1"
    languages = {one.id: one.language for one in box.list_code_contexts()}
    assert languages[context.id] == "javascript"
    assert languages[typed.id] == "typescript"
    assert sorted(languages.values()) == ["javascript", "javascript", "python", "typescript"]
    box.run_code("const own = 1", context=context)
    box.restart_code_context(context)
    assert box.run_code(f"typeof own + {WHERE}", context=context).text == "undefinedsub"
    box.remove_code_context(context)
    with pytest.raises(SandboxException, match="not found"):
        box.run_code("1", context=context)


def test_environment_variables_of_one_execution_end_with_it_in_javascript_too(box: Any) -> None:
    ask = "process.env.ONE"
    assert box.run_code(ask, language="javascript", envs={"ONE": "1"}).text == "1"
    assert box.run_code(ask, language="javascript").results == []
    assert box.run_code("process.env.ONE = 'kept'; throw 1", language="js", envs={"TWO": "2"}).error is not None
    assert box.run_code("process.env.ONE + process.env.TWO", language="js").text == "keptundefined"


def test_variables_and_files_of_both_outlive_a_pause(box: Any) -> None:
    box.run_code("y = 2")
    box.run_code(
        "const o = { n: 41 }; require('fs').writeFileSync('late.txt', 'late'); function f() { return o.n }",
        language="js",
    )
    box.pause()
    box.connect()
    assert box.run_code("f() + 1", language="js").text == "42"
    assert box.run_code("open('late.txt').read() * y").text == "latelate"


def test_killing_the_sandbox_ends_every_language(key: str, serving: Serving) -> None:
    from e2b_code_interpreter import Sandbox

    with Sandbox.create() as box:
        box.run_code("1", language="javascript")
        box.create_code_context(language="typescript")
        assert len(_stored(serving, box.sandbox_id)) == 3
    assert _stored(serving, box.sandbox_id) == []


def _stored(serving: Serving, name: str) -> list[str]:
    """What the store has of a sandbox, whoever's it is."""
    with contextlib.closing(sqlite3.connect(f"file:{serving.home}/store/store.db?mode=ro", uri=True)) as store:
        return [one for (one,) in store.execute("SELECT id FROM sessions") if name in one]


def test_the_published_limits_of_a_second_language_are_clear_errors(box: Any) -> None:
    for language in ("r", "java", "bash"):
        with pytest.raises(SandboxException, match="Python, JavaScript or TypeScript here"):
            box.run_code("1", language=language)
        with pytest.raises(SandboxException, match="Python, JavaScript or TypeScript here"):
            box.create_code_context(language=language)
    for _ in range(8):
        box.create_code_context(language="javascript")
    with pytest.raises(SandboxException, match="8 contexts in JavaScript"):
        box.create_code_context(language="javascript")


@pytest.fixture
def restarted(own: Serving, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A sandbox of a server that is killed and started again, with variables and files of two languages."""
    from e2b_code_interpreter import Sandbox

    own.start()
    point_at(own, own.first_key, monkeypatch.setenv)
    made = Sandbox.create()
    made.run_code("z = 1; open('a', 'w').write('a')")
    made.run_code("let v = [1]; require('fs').writeFileSync('b', 'b')", language="js")
    own.kill()
    own.start()
    yield made
    made.kill()


def test_a_server_that_was_killed_has_both_languages_and_all_files_again(restarted: Any) -> None:
    assert (
        restarted.run_code("v.push(2); v.length + require('fs').readFileSync('b', 'utf8')", language="js").text == "2b"
    )
    assert restarted.run_code("open('a').read() + open('b').read() + str(z)").text == "ab1"
