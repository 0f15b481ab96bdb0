"""`sandbox mcp` as a command: its configuration blocks, its keys, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.mcp.config import CLIENTS

from .conftest import DEADLINE, Cli

STDIO_ONLY = {"claude-desktop"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_printed_configuration_starts_this_program(cli: Cli, client: str) -> None:
    done = cli("mcp", "--print-config", client, "--memory", "2G")
    assert done.returncode == 0
    assert CLIENTS[client].title in done.stderr
    whole = tomllib.loads(done.stdout) if client == "codex" else json.loads(done.stdout)
    (servers,) = whole.values()
    entry = servers["sandbox"]
    assert entry["args"][-3:] == ["mcp", "--memory", "2G"]
    assert os.access(entry["command"], os.X_OK)
    assert Path(entry["command"]).is_absolute()


@pytest.mark.parametrize("client", sorted(set(CLIENTS) - STDIO_ONLY))
def test_a_printed_configuration_for_http_has_the_address_and_the_key(cli: Cli, client: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    text = cli("mcp", f"--print-config={client}", "--http", "--port", "1234", "--key-file", os.fspath(file)).stdout
    key = file.read_text(encoding="ascii").strip()
    assert "http://127.0.0.1:1234/mcp" in text
    assert f"Bearer {key}" in text


def test_the_formats_are_those_that_the_clients_read(cli: Cli) -> None:
    def printed(client: str, *flags: str) -> str:
        return cli("mcp", "--print-config", client, *flags).stdout

    assert json.loads(printed("vscode"))["servers"]["sandbox"]["type"] == "stdio"
    assert json.loads(printed("zed"))["context_servers"]["sandbox"]["args"][-1] == "mcp"
    assert set(json.loads(printed("windsurf", "--http", "--insecure"))["mcpServers"]["sandbox"]) == {"serverUrl"}
    assert set(json.loads(printed("gemini-cli", "--http", "--insecure"))["mcpServers"]["sandbox"]) == {"httpUrl"}
    cline = json.loads(printed("cline", "--http", "--insecure"))["mcpServers"]["sandbox"]
    assert cline == {"type": "streamableHttp", "url": "http://127.0.0.1:8765/mcp"}
    assert printed("codex").startswith("[mcp_servers.sandbox]\ncommand = ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--print-config", "notepad"], "there are claude-desktop, claude-code, cursor"),
        (["--print-config", "claude-desktop", "--http", "--insecure"], "only starts servers itself"),
        (["--port", "many"], "is not a whole number"),
        (["--memory", "1"], "--memory 1 is not a number of MB"),
        (["--session", "../x"], "cannot be a session's id"),
    ],
)
def test_what_is_refused(cli: Cli, arguments: list[str], says: str) -> None:
    done = cli("mcp", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_keys_are_made_once_and_for_their_user_only(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    cli("mcp", "--print-config", "cursor", "--http", "--key-file", os.fspath(file))
    made = file.read_text(encoding="ascii")
    assert len(made.strip()) >= 40
    assert file.stat().st_mode & 0o777 == 0o600
    cli("mcp", "--print-config", "cursor", "--http", "--key-file", os.fspath(file))
    assert file.read_text(encoding="ascii") == made
    file.write_text("# none\n", encoding="ascii")
    assert "has no key" in cli("mcp", "--http", "--port", "0", "--key-file", os.fspath(file)).stderr
    file.write_text("short\n", encoding="ascii")
    assert "5 characters: 16 are the least" in cli("mcp", "--http", "--port", "0", "--key-file", os.fspath(file)).stderr


def test_the_missing_extra_is_named(tmp_path: Path, environment: dict[str, str]) -> None:
    code = "import sys; sys.modules['mcp'] = None; from sandbox.cli.main import main; main(['mcp'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'enhanced-sandbox[mcp]'" in done.stderr


@pytest.mark.usefixtures("nothing_is_left")
def test_it_ends_with_its_input_and_leaves_nothing(cli: Cli) -> None:
    done = cli("mcp")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.usefixtures("nothing_is_left")
def test_a_port_that_is_taken_is_named(cli: Cli, start: Callable[..., subprocess.Popen[bytes]]) -> None:
    server = start("mcp", "--http", "--insecure", "--port", "0")
    assert server.stderr is not None
    line = server.stderr.readline().decode()
    port = re.findall(r":(\d+)/mcp, without a key", line)[0]
    done = cli("mcp", "--http", "--insecure", "--port", port)
    assert done.returncode == 2
    assert f"port {port} cannot be listened on: Address already in use; choose another with --port" in done.stderr
    server.terminate()
    assert server.wait(DEADLINE) == 0


def test_neither_the_library_nor_the_server_is_imported_by_other_commands(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    code = (
        "import sys, sandbox.cli.main, sandbox.cli.mcp, sandbox.mcp.config\n"
        "print([name for name in ('mcp', 'pydantic', 'starlette') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE,
        check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
