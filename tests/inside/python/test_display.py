"""display() and what is displayed at odd times, IPython's display functions, images of PIL."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import Environment, Execution, LocalSandbox

needs_ipython = pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not installed")


async def only(box: LocalSandbox, code: str) -> dict[str, Any]:
    """Run code that shows one value; return its data."""
    (result,) = (await box.run(code)).results
    return result.data


# --- display() ---


async def test_display_shows_each_value_in_order_with_output_and_returns_none(box: LocalSandbox) -> None:
    execution = await box.run("print('a')\nprint(display(1, 'two'))\n3")
    assert execution.stdout == "a\nNone\n"
    assert [(result.text, result.main) for result in execution.results] == [("1", False), ("'two'", False), ("3", True)]


async def test_display_takes_a_bundle_as_it_is(box: LocalSandbox) -> None:
    data = await only(box, "display({'text/plain': 't', 'text/html': '<p>', 'image/png': b'x'}, raw=True, metadata={})")
    assert data == {"text/plain": "t", "text/html": "<p>", "image/png": b"x"}


async def test_display_says_what_a_raw_value_must_be(box: LocalSandbox) -> None:
    execution = await box.run("display(5, raw=True)", check=False)
    assert execution.exception is not None
    assert "with raw=True display() takes MIME bundles" in execution.exception.message


async def test_the_last_update_of_a_handle_is_shown_when_the_cell_ends(box: LocalSandbox) -> None:
    execution = await box.run(
        "handle = display('begin', display_id=True)\nfor n in range(1000):\n    handle.update(n)\nprint('end')\n'value'"
    )
    assert [result.text for result in execution.results] == ["'begin'", "'value'", "999"]
    assert (await box.run("1")).text == "1"


async def test_no_value_is_kept_after_its_cell(box: LocalSandbox) -> None:
    await box.run(
        "import gc, weakref\nclass V: pass\nv = V()\nref = weakref.ref(v)\ndisplay(v)\n"
        "display(v, display_id='x').update(v)\ndel v"
    )
    assert (await box.run("gc.collect()\nref() is None")).text == "True"


async def test_a_cell_without_a_figure_imports_nothing(cold: Environment, make: Callable[..., LocalSandbox]) -> None:
    box = make(environment=cold)
    await box.start()
    await box.run("import sys\nbefore = set(sys.modules)")
    await box.run("1")
    await box.run("display([1], {'a': 2})\n'x'")
    assert (await box.run("sorted(set(sys.modules) - before)")).text == "[]"


# --- at odd times ---


async def test_what_a_thread_displays_between_cells_comes_with_the_next_one(box: LocalSandbox) -> None:
    await box.run(
        "import threading, os\nready, go = os.pipe()\ndef later():\n    os.read(ready, 1)\n"
        "    display('late', 'later')\n    open('done', 'w').close()\n"
        "thread = threading.Thread(target=later)\nthread.start()"
    )
    await box.command.shell("true")  # the worker idles
    await box.run("threading.Timer(0.05, os.write, (go, b'x')).start()")
    assert await _appears(box, "done")
    execution = await box.run("thread.join()\n'now'")
    assert [result.text for result in execution.results] == ["'late'", "'later'", "'now'"]
    assert execution.ok


async def test_too_much_between_cells_is_bounded_and_said(box: LocalSandbox) -> None:
    await box.run(
        "import threading\ndef later():\n    for n in range(150):\n        display(n)\n    open('done', 'w').close()\n"
        "threading.Timer(0.05, later).start()"
    )
    assert await _appears(box, "done")
    execution = await box.run("alive = 1")
    assert [result.text for result in execution.results] == [str(n) for n in range(100)]
    assert "50 values that were displayed before cell 2 began are lost" in execution.stderr


async def test_a_task_that_a_cell_left_behind_may_display(box: LocalSandbox) -> None:
    await box.run(
        "import asyncio\nasync def later():\n    await asyncio.sleep(0.05)\n    display('from a task')\n"
        "    open('done', 'w').close()\ntask = asyncio.create_task(later())\nawait asyncio.sleep(0)"
    )
    assert await _appears(box, "done")
    assert [result.text for result in (await box.run("None")).results] == ["'from a task'"]


async def test_a_forked_process_writes_the_text_of_what_it_displays(box: LocalSandbox) -> None:
    execution = await box.run(
        "import os\nif (pid := os.fork()) == 0:\n    display('forked')\n    os._exit(0)\nos.waitpid(pid, 0)[1]"
    )
    assert execution.stdout == "'forked'\n"
    assert [result.text for result in execution.results] == ["0"]


async def test_an_interrupt_in_the_middle_of_a_large_value_keeps_the_session(box: LocalSandbox) -> None:
    await box.run("alive = 1\nlarge = {'text/plain': 't', 'text/html': 'x' * 12_000_000}")
    for _ in range(8):
        execution = await _interrupted(box, "while True: display(large, raw=True)")
        assert execution.status == "interrupted"
        assert (await box.run("alive")).text == "1"


async def _interrupted(box: LocalSandbox, code: str) -> Execution:
    """Run endless code and interrupt it once it has shown something."""
    first = asyncio.Event()
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(
        box.run(code, check=False, timeout=30, on_result=lambda _: loop.call_soon_threadsafe(first.set))
    )
    await asyncio.wait_for(first.wait(), 20)
    await box.interrupt()
    return await running


async def _appears(box: LocalSandbox, name: str) -> bool:
    """Wait until the file is there, without running a cell."""
    done = await box.command.shell(f"for n in $(seq 200); do [ -e {name} ] && exit 0; sleep 0.05; done; exit 1")
    return done.exit_code == 0


# --- IPython ---


@needs_ipython
async def test_the_display_functions_of_ipython_are_ours(box: LocalSandbox) -> None:
    execution = await box.run(
        """
from IPython.display import HTML, JSON, Image, Markdown, clear_output, display, update_display
print(display(HTML("<b>x</b>"), Markdown("**y**")))
handle = display("first", display_id=True)
handle.update("second")
update_display("third", display_id=handle.display_id)
clear_output(wait=True)
display({"text/html": "<i>"}, raw=True)
Image(data=b"\\x89PNG\\r\\n\\x1a\\n" + bytes(100))
"""
    )
    assert execution.stdout == "None\n"
    shown = [next(mime for mime in reversed(result.data)) for result in execution.results]
    assert shown == ["text/html", "text/markdown", "text/plain", "text/html", "image/png", "text/plain"]
    assert execution.results[-1].text == "'third'"
    assert execution.results[4].png == b"\x89PNG\r\n\x1a\n" + bytes(100)


@needs_ipython
async def test_ipython_that_is_warm_already_shows_here_too(
    warm_ipython: Environment, make: Callable[..., LocalSandbox]
) -> None:
    box = make(environment=warm_ipython)
    await box.start()
    assert (await box.run("import sys\n'IPython.display' in sys.modules")).text == "True"
    data = await only(box, "import IPython.display\nIPython.display.display(IPython.display.HTML('<b>'))")
    assert data["text/html"] == "<b>"


# --- PIL ---


async def test_an_image_is_shown_as_png_and_kept(box: LocalSandbox) -> None:
    execution = await box.run("from PIL import Image\nimage = Image.new('RGB', (20, 10), 'red')\nimage")
    (result,) = execution.results
    assert result.main
    assert (result.png or b"").startswith(b"\x89PNG")
    assert [artifact.name for artifact in execution.artifacts] == ["figure-1.png"]
    assert execution.artifacts[0].read() == result.png


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "F", "I;16", "HSV", "LAB", "YCbCr"])
async def test_show_captures_an_image_of_any_mode(box: LocalSandbox, mode: str) -> None:
    execution = await box.run(f"from PIL import Image\nImage.new({mode!r}, (3, 2)).show()\nImage.new({mode!r}, (3, 2))")
    assert [(result.png or b"")[:4] for result in execution.results] == [b"\x89PNG", b"\x89PNG"]
    assert execution.stderr == ""
