"""E2B's code interpreter: running code, what it shows, contexts."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from e2b import NotFoundException, SandboxException, TimeoutException
from e2b_code_interpreter import AsyncSandbox
from e2b_code_interpreter.charts import BarChart, BoxAndWhiskerChart, LineChart, PieChart, SuperChart
from tests.server.compat.conftest import until
from tests.serving import Serving


def test_variables_stay_and_the_last_expression_is_the_result(box: Any) -> None:
    assert box.run_code("x = 20").results == []
    execution = box.run_code("x += 1\nprint('doubled')\nx * 2")
    assert execution.text == "42"
    assert "".join(execution.logs.stdout) == "doubled\n"
    assert execution.execution_count == 2
    assert box.run_code("'a text'").text == "a text"


def test_callbacks_are_called_while_the_code_runs(box: Any) -> None:
    seen: list[tuple[str, Any]] = []
    code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\ndisplay(7)\n1/0"
    execution = box.run_code(
        code,
        on_stdout=lambda one: seen.append(("out", one.line)),
        on_stderr=lambda one: seen.append(("err", one.line)),
        on_result=lambda one: seen.append(("result", one.text)),
        on_error=lambda one: seen.append(("error", one.name)),
    )
    order = [kind for kind, _ in itertools.groupby(seen, key=lambda one: one[0])]
    assert order == ["out", "err", "result", "error"]
    assert "".join(text for kind, text in seen if kind == "out") == "out\n"
    assert seen[-2:] == [("result", "7"), ("error", "ZeroDivisionError")]
    assert execution.error.value == "division by zero"
    assert "1/0" in execution.error.traceback
    assert "".join(execution.logs.stderr) == "err\n"


def test_output_comes_before_the_code_has_ended(box: Any) -> None:
    came: list[str] = []

    def on_stdout(message: Any) -> None:
        came.append(message.line)
        box.files.write("go", "")

    code = "import os, time\nprint('waiting', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\n'went'"
    assert box.run_code(code, on_stdout=on_stdout).text == "went"
    assert "".join(came) == "waiting\n"


def test_rich_results_come_in_every_form(box: Any) -> None:
    (table,) = box.run_code("import pandas as pd\npd.DataFrame({'a': [1, 2]})").results
    assert "<table" in table.html
    assert table.is_main_result
    code = """
class All:
    def _repr_markdown_(self): return "*m*"
    def _repr_latex_(self): return "$l$"
    def _repr_json_(self): return {"j": 1}
    def _repr_svg_(self): return "<svg/>"
    def _repr_mimebundle_(self, include=None, exclude=None): return {"application/x-own": "mine"}
All()
"""
    (shown,) = box.run_code(code).results
    assert (shown.markdown, shown.latex, shown.json, shown.svg) == ("*m*", "$l$", {"j": 1}, "<svg/>")
    assert shown.extra == {"application/x-own": "mine"}


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("plt.plot([1, 2], [3, 4], label='q')", LineChart, [("q", [(1.0, 3.0), (2.0, 4.0)])]),
        ("plt.bar(['a', 'b'], [1, 2])", BarChart, [("a", 1.0), ("b", 2.0)]),
        ("plt.pie([1, 3], labels=['a', 'b'])", PieChart, [("a", 90.0), ("b", 270.0)]),
        ("plt.boxplot([[1, 2, 3]])", BoxAndWhiskerChart, [2.0]),
        ("f, (a, b) = plt.subplots(1, 2); a.plot([1], [1]); b.bar(['z'], [1])", SuperChart, [LineChart, BarChart]),
    ],
)
def test_a_figure_comes_with_its_chart(box: Any, code: str, kind: type[Any], expected: list[Any]) -> None:
    program = f"import matplotlib.pyplot as plt\n{code}\nplt.title('T')\nplt.ylabel('Y')\nplt.show()"
    (result,) = box.run_code(program).results
    assert base64.b64decode(result.png).startswith(b"\x89PNG")
    chart = result.chart
    assert isinstance(chart, kind)
    reading: dict[type[Any], Callable[[Any], Any]] = {
        LineChart: lambda one: (one.label, one.points), BarChart: lambda one: (one.label, one.value),
        PieChart: lambda one: (one.label, round(one.angle, 3)), BoxAndWhiskerChart: lambda one: one.median,
        SuperChart: type,
    }  # fmt: skip
    assert [reading[kind](one) for one in chart.elements] == expected
    if kind in {LineChart, BarChart, BoxAndWhiskerChart}:
        assert (chart.title, chart.y_label) == ("T", "Y")


def test_environment_variables_of_one_execution_end_with_it(box: Any) -> None:
    code = "import os; (os.environ.get('ONE'), os.environ.get('HOME') is not None)"
    assert box.run_code(code, envs={"ONE": "1"}).text == "('1', True)"
    assert box.run_code(code).text == "(None, True)"
    assert box.run_code("os.environ['ONE'] = 'kept'; 1/0").error.name == "ZeroDivisionError"
    assert box.run_code(code, envs={"ONE": "2"}).text == "('2', True)"
    assert box.run_code(code).text == "('kept', True)"


def test_a_client_that_gives_up_interrupts_its_code(box: Any) -> None:
    box.run_code("kept = 1")
    with pytest.raises(TimeoutException):
        box.run_code("while True: pass", timeout=1)
    assert box.run_code("kept").text == "1"


def test_a_limit_is_an_error_of_the_execution(box: Any) -> None:
    execution = box.run_code("import os; os._exit(3)")
    assert execution.error is not None
    assert box.run_code("1 + 1").text == "2"


# --- contexts ---


def test_contexts_have_variables_and_directories_of_their_own_and_the_same_files(box: Any) -> None:
    box.files.make_dir("deep")
    one, two = box.create_code_context(), box.create_code_context(cwd="/home/user/deep")
    assert two.cwd == "/home/user/deep"
    for number, context in enumerate((None, one, two)):
        box.run_code(f"import os\nx = {number}\ndef f(): return x", context=context)
    box.run_code("open('here', 'w').write('of two')", context=two)
    assert [box.run_code("(x, f())", context=context).text for context in (two, None, one)] == [
        "(2, 2)", "(0, 0)", "(1, 1)",
    ]  # fmt: skip
    assert box.files.read("deep/here") == "of two"
    assert {context.id for context in box.list_code_contexts()} == {"default", one.id, two.id}


def test_a_context_can_begin_anew_and_be_removed(box: Any) -> None:
    context = box.create_code_context()
    box.run_code("x = 'default'")
    box.run_code("x = 'own'", context=context)
    box.restart_code_context(context)
    assert box.run_code("x", context=context).error.name == "NameError"
    box.remove_code_context(context)
    assert box.run_code("x").text == "default"
    with pytest.raises(NotFoundException, match=context.id):
        box.run_code("x", context=context)
    with pytest.raises(SandboxException, match="default"):
        box.remove_code_context("default")


async def test_a_context_that_begins_anew_ends_what_runs_in_it(key: str) -> None:
    box = await AsyncSandbox.create()
    try:
        context, other = await box.create_code_context(), await box.create_code_context()
        began = asyncio.Event()
        run = asyncio.create_task(
            box.run_code("print(1, flush=True)\nwhile True: pass", context=context, on_stdout=lambda _: began.set())
        )
        await asyncio.wait_for(began.wait(), 30)
        queued = asyncio.create_task(box.run_code("'other'", context=other))
        await box.restart_code_context(context)
        error = (await run).error
        assert error is not None
        assert error.name == "KeyboardInterrupt"
        assert (await queued).text == "other"
    finally:
        await box.kill()


def test_contexts_outlive_a_pause_with_what_they_define(box: Any) -> None:
    context = box.create_code_context()
    define = "class C:\n  def who(self): return {0!r}\ndef f(): return x\nc, x = C(), {0!r}"
    box.run_code(define.format("default"))
    box.run_code(define.format("own"), context=context)
    box.pause()
    box.connect()
    ask = "(c.who(), f(), x, type(c) is C)"
    assert box.run_code(ask).text == "('default', 'default', 'default', True)"
    assert box.run_code(ask, context=context).text == "('own', 'own', 'own', True)"


# --- the asynchronous client ---


async def test_the_asynchronous_client_runs_many_sandboxes_at_once(key: str) -> None:
    boxes = await asyncio.gather(*(AsyncSandbox.create() for _ in range(3)))
    try:
        seen: list[str] = []

        async def on_stdout(message: Any) -> None:
            seen.append(message.line)

        runs = [one.run_code(f"print({n}); {n} ** 2", on_stdout=on_stdout) for n, one in enumerate(boxes)]
        assert [one.text for one in await asyncio.gather(*runs)] == ["0", "1", "4"]
        assert sorted("".join(seen).replace("\n", "")) == ["0", "1", "2"]
        context = await boxes[0].create_code_context()
        assert (await boxes[0].run_code("y = 1; y", context=context)).text == "1"
        assert (await boxes[0].run_code("y")).error is not None
    finally:
        assert all(await asyncio.gather(*(one.kill() for one in boxes)))


async def test_cancelling_the_asynchronous_client_interrupts_the_code(key: str, serving: Serving) -> None:
    box = await AsyncSandbox.create()
    try:
        began = asyncio.Event()
        run = asyncio.create_task(
            box.run_code("print('on', flush=True)\nwhile True: pass", on_stdout=lambda _: began.set())
        )
        await asyncio.wait_for(began.wait(), 30)
        run.cancel()
        await asyncio.wait([run])
        assert (await box.run_code("'free'")).text == "free"
        until(lambda: _outcome_of_loop(serving, box.sandbox_id) == "interrupted")
    finally:
        await box.kill()


def _outcome_of_loop(serving: Serving, name: str) -> str | None:
    runs = [one for one in serving.audit if one["session"] == name and one["do"] == "run"]
    return runs[0]["outcome"] if runs else None
