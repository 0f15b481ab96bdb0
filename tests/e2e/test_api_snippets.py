"""Every local snippet of the API, as it is given there."""

from __future__ import annotations

import asyncio

import pytest

from sandbox import (
    LocalSandbox,
    PythonSandbox,
    SandboxConnectionError,
    SandboxExecutionError,
    SandboxOptions,
    SandboxTimeoutError,
)
from sandbox.core.execution_context import PersistentExecutionContext

pytestmark = pytest.mark.usefixtures("engine")


async def test_create_local_runs_hello_world(capsys: pytest.CaptureFixture[str]) -> None:
    async with PythonSandbox.create_local(name="local-py") as sandbox:
        result = await sandbox.run("print('Hello World')")
        print(await result.output())
        await sandbox.delete()
    assert capsys.readouterr().out == "Hello World\n\n"


async def test_local_sandbox_shows_the_version() -> None:
    async with LocalSandbox.create(name="local") as sandbox:
        result = await sandbox.run("import sys; print(sys.version)")
        assert result.stdout.startswith("3.")
        await sandbox.delete()


def test_execute_code_returns_the_documented_dict() -> None:
    context = PersistentExecutionContext()
    result = context.execute_code(
        """
import numpy as np
x = np.array([1, 2, 3, 4, 5])
print(f"Mean: {np.mean(x)}")
""",
        cache_key="numpy_mean_example",
    )
    expected: dict[str, object] = {
        "success": True,
        "error": None,
        "error_type": None,
        "stdout": "Mean: 3.0\n",
        "stderr": "",
        "artifacts": [],
        "cache_hit": False,
    }
    assert {key: result[key] for key in expected} == expected
    assert 0 < result["execution_time"] < 30
    stats = context.get_execution_stats()
    assert stats["total_executions"] == 1
    assert stats["cache_misses"] == 1
    assert stats["cached_compilations"] == 1
    assert stats["session_id"] == context.session_id
    (record,) = context.get_execution_history(limit=100)
    assert record["success"]
    assert "timestamp" in record
    context.cleanup_session()


async def test_synchronous_methods_work_inside_a_running_loop() -> None:
    sandbox = LocalSandbox(name="my-sandbox")
    await sandbox.start()
    await sandbox.run("x = 1")
    assert sandbox.get_performance_stats()["total_executions"] == 1
    assert len(sandbox.get_execution_history(limit=20)) == 1
    sandbox.clear_cache()
    assert sandbox.get_performance_stats()["cached_compilations"] == 0
    assert isinstance(sandbox.session_id, str)
    sandbox.cleanup_session()


async def test_the_builders_options_fit_any_sandbox() -> None:
    config = (
        SandboxOptions.builder()
        .name("configured-sandbox")
        .memory(1024)
        .cpus(2.0)
        .timeout(300.0)
        .env("DEBUG", "true")
        .env("LOG_LEVEL", "info")
        .build()
    )
    sandbox = LocalSandbox.create(**config.__dict__)
    await sandbox
    result = await sandbox.run("import os; os.environ['DEBUG'], os.environ['LOG_LEVEL']")
    assert result.text == "('true', 'info')"
    await sandbox.delete()


async def test_results_have_the_documented_attributes(box: LocalSandbox) -> None:
    result = await box.run("print('Hello')")
    assert (result.stdout, result.stderr, result.artifacts, result.exception) == ("Hello\n", "", [], None)
    assert await result.output() == "Hello\n"
    command = await box.command.run("ls", ["-la"])
    assert "total" in await command.output()
    assert command.exit_code == 0


async def test_metrics_are_read_by_name(box: LocalSandbox) -> None:
    metrics = await box.metrics.all()
    assert {"cpu_usage", "memory_usage", "memory_limit", "disk_usage", "processes", "uptime", "executions"} <= set(
        metrics
    )
    assert await box.metrics.get("cpu_usage") >= 0
    assert await box.metrics.get("memory_usage") > 0


async def test_errors_have_the_documented_attributes(box: LocalSandbox) -> None:
    with pytest.raises(SandboxExecutionError) as caught:
        await box.run("invalid python code")
    assert caught.value.error_type == "SyntaxError"
    assert "^" in caught.value.traceback
    with pytest.raises(SandboxTimeoutError) as late:
        await box.run("while True: pass", timeout=0.2)
    assert late.value.timeout == 0.2
    assert not issubclass(SandboxTimeoutError, SandboxExecutionError | SandboxConnectionError)


async def test_a_plot_is_captured_as_an_artifact(box: LocalSandbox) -> None:
    await box.run("""
import matplotlib.pyplot as plt
import numpy as np
x = np.linspace(0, 10, 100)
y = np.sin(x)
plt.plot(x, y)
plt.title('Sine Wave')
plt.show()  # Automatically captured
""")
    artifacts = box.list_artifacts()
    assert len(artifacts) == 1
    assert artifacts[0].read().startswith(b"\x89PNG")
    assert await artifacts[0].aread() == artifacts[0].read()
    assert artifacts[0].path.is_relative_to(box.artifacts_dir)


async def test_a_second_sandbox_continues_a_session_by_its_context() -> None:
    sandbox1 = LocalSandbox(name="persistent")
    await sandbox1.start()
    await sandbox1.run("x = 42")
    context = PersistentExecutionContext(session_id=sandbox1.session_id)
    sandbox2 = LocalSandbox(name="persistent")
    sandbox2._execution_context = context
    await sandbox2.start()
    result = await sandbox2.run("print(x)")
    assert result.stdout == "42\n"
    await sandbox2.delete()


async def test_executions_of_one_session_queue_up(box: LocalSandbox) -> None:
    results = await asyncio.gather(*(box.run(f"print({n})") for n in range(5)))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(5)]
    assert [result.number for result in results] == [1, 2, 3, 4, 5]
