"""Every remote snippet of the API, as it is given there but for the address and the key; and without async."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Serving

import sandbox
import sandbox.sync
from sandbox import PythonSandbox, RemoteSandbox, SandboxOptions

ROOT = Path(__file__).parents[2]


async def test_create_remote_runs_hello_world(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    async with PythonSandbox.create_remote(
        server_url=serving.url, api_key=serving.first_key, name="remote-py"
    ) as sandbox:
        result = await sandbox.run("print('Hello from microVM')")
        print(await result.output())
        await sandbox.delete()
    assert capsys.readouterr().out == "Hello from microVM\n\n"


async def test_remote_sandbox_shows_the_version(serving: Serving) -> None:
    async with RemoteSandbox.create(server_url=serving.url, api_key=serving.first_key) as sandbox:
        result = await sandbox.run("import sys; print(sys.version)")
        assert result.stdout.startswith("3.")
        await sandbox.delete()


async def test_the_builders_options_fit_a_remote_sandbox(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_URL", serving.url)
    monkeypatch.setenv("SANDBOX_API_KEY", serving.first_key)
    config = SandboxOptions.builder().name("configured").memory(512).timeout(300.0).env("DEBUG", "true").build()
    async with RemoteSandbox.create(**config.__dict__) as sandbox:
        assert (await sandbox.run("import os; os.environ['DEBUG']")).text == "'true'"
        assert (await sandbox.metrics.get("memory_limit"), sandbox.name) == (512, "configured")
        await sandbox.delete()


async def test_artifacts_are_fetched_when_they_are_looked_at(serving: Serving) -> None:
    async with RemoteSandbox(serving.url, serving.first_key) as box:
        code = "import os; os.mkdir('artifacts'); [open(f'artifacts/{n}', 'w').write(n) for n in 'ab'];"
        first, second = (await box.run(code)).artifacts
        directory = box._fetched.directory(box.session_id)
        assert list(directory.rglob("*")) == [], "nobody has asked for them yet"
        assert "RemoteArtifact('1/a'" in repr(first)
        assert first.read() == b"a"
        assert [path.name for path in directory.rglob("*") if path.is_file()] == ["a"]
        assert (await second.aread(), os.fspath(second)) == (b"b", str(directory / "1" / "b"))
        assert box.artifacts_dir == directory
        await box.delete()


def test_without_async_it_is_the_same(serving: Serving, tmp_path: Path) -> None:
    with sandbox.sync.PythonSandbox.create_remote(serving.url, serving.first_key, memory=256) as box:
        assert box.run("x = 6 * 7; x").text == "42"
        printed: list[str] = []
        box.run("for n in range(3): print(n, flush=True)", on_stdout=printed.append)
        assert "".join(printed) == "0\n1\n2\n"
        events = [type(one).__name__ for one in box.stream("print('a')\n1")]
        assert set(events) == {"Output", "ResultShown", "Execution"}
        (tmp_path / "up").write_bytes(bytes(3_000_000))
        box.files.upload(tmp_path / "up", "there")
        assert box.files.download("there", tmp_path / "down").read_bytes() == bytes(3_000_000)
        handle = box.command.start(["cat"])
        handle.write("hello")
        handle.close_stdin()
        assert handle.wait().stdout == "hello"
        (child,) = box.fork()
        box.rollback(0)
        assert (child.run("x").text, box.run("'x' in globals()").text) == ("42", "False")
        assert [one.path for one in child.files.list()] == ["there"]
        for one in (child, box):
            one.delete()


def test_a_client_is_of_use_after_a_fork_of_its_process(serving: Serving) -> None:
    code = (
        "import os, sys\nfrom sandbox.sync import RemoteSandbox\nbox = RemoteSandbox().start()\nbox.run('x = 1')\n"
        "pid = os.fork()\nif pid == 0:\n    print(box.run('x').text, flush=True)\n    os._exit(0)\n"
        "os.waitpid(pid, 0)\nprint(box.run('x + 1').text)\nbox.delete()\n"
    )
    environment = {**serving.environment, "SANDBOX_URL": serving.url, "SANDBOX_API_KEY": serving.first_key}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stdout == "1\n2\n", done.stderr


@pytest.mark.parametrize(
    ("missing", "code", "extra"),
    [
        ("aiohttp", "from sandbox import RemoteSandbox\nRemoteSandbox('http://127.0.0.1:1', 'key')", "remote"),
        ("uvicorn", "from sandbox.cli.serve import main\nmain(['--port', '0'])", "server"),
    ],
)
def test_a_missing_extra_is_named(tmp_path: Path, missing: str, code: str, extra: str) -> None:
    environment: dict[str, Any] = Serving(tmp_path).environment
    code = f"import sys\nsys.modules[{missing!r}] = None\n{code}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert f"SandboxStartError: {missing} is missing: pip install 'enhanced-sandbox[{extra}]'" in done.stderr


def test_the_demo_shows_what_it_says(tmp_path: Path) -> None:
    environment = Serving(tmp_path / "data").environment
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "remote.py")], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the same session has its variables: (1000," in done.stdout
    assert "the walk has 1000 steps again" in done.stdout
    assert (tmp_path / "demo-output" / "figure-1.png").read_bytes().startswith(b"\x89PNG")
