"""`--print-config`: what to write into which file, for each of the well-known clients. Needs nothing of the server."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from sandbox.errors import UsageError

NAME = "sandbox"


class How(NamedTuple):
    """How a client reaches the server: by starting `command`, or at `url` with `key`, where it has one."""

    command: tuple[str, ...] = ()
    url: str = ""
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What to send with each request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


class Format(NamedTuple):
    """A client: its name for people, where its configuration is, and how that is written."""

    title: str
    where: str
    write: Callable[[How], str]


def _json(outer: str, *, kind: str = "", http: str = "http", url: str = "url", nothing: bool = False) -> Any:
    """A writer of JSON. `kind`: the field that says which transport it is; `http` and `url` as the client says them."""

    def write(how: How) -> str:
        entry: dict[str, Any] = {}
        if how.url:
            if nothing:
                raise UsageError("this client only starts servers itself: leave out --http")
            if kind:
                entry[kind] = http
            entry[url] = how.url
            if how.headers:
                entry["headers"] = how.headers
        else:
            if kind:
                entry[kind] = "stdio"
            entry |= {"command": how.command[0], "args": list(how.command[1:])}
        return json.dumps({outer: {NAME: entry}}, indent=2)

    return write


def _toml(how: How) -> str:
    """JSON's texts and lists are TOML's too."""
    if not how.url:
        lines = [f"command = {json.dumps(how.command[0])}", f"args = {json.dumps(how.command[1:])}"]
    else:
        lines = [f"url = {json.dumps(how.url)}"]
        if how.headers:
            lines.append(f'http_headers = {{ "Authorization" = {json.dumps(how.headers["Authorization"])} }}')
    return "\n".join([f"[mcp_servers.{NAME}]", *lines])


CLIENTS = {
    "claude-desktop": Format(
        "Claude Desktop", "claude_desktop_config.json (Settings, Developer, Edit Config)",
        _json("mcpServers", nothing=True),
    ),
    "claude-code": Format(
        "Claude Code", ".mcp.json in the project, or ~/.claude.json for all", _json("mcpServers", kind="type")
    ),
    "cursor": Format("Cursor", ".cursor/mcp.json in the project, or ~/.cursor/mcp.json for all", _json("mcpServers")),
    "vscode": Format("VS Code", ".vscode/mcp.json in the project", _json("servers", kind="type")),
    "lm-studio": Format("LM Studio", "~/.lmstudio/mcp.json (Program, Install, Edit mcp.json)", _json("mcpServers")),
    "windsurf": Format("Windsurf", "~/.codeium/windsurf/mcp_config.json", _json("mcpServers", url="serverUrl")),
    "devin-desktop": Format(
        "Devin Desktop", "~/.config/devin/mcp_config.json, or .devin/mcp_config.json in the project",
        _json("mcpServers"),
    ),
    "cline": Format(
        "Cline", "cline_mcp_settings.json (MCP Servers, Configure)",
        _json("mcpServers", kind="type", http="streamableHttp"),
    ),
    "zed": Format("Zed", "~/.config/zed/settings.json", _json("context_servers")),
    "gemini-cli": Format(
        "Gemini CLI", ".gemini/settings.json in the project, or ~/.gemini/settings.json for all",
        _json("mcpServers", url="httpUrl"),
    ),
    "codex": Format("Codex", "~/.codex/config.toml", _toml),
}  # fmt: skip


def configuration(client: str, how: How) -> tuple[str, str]:
    """Where the configuration of a client is, and what to write there. Raises UsageError."""
    found = CLIENTS.get(client)
    if found is None:
        raise UsageError(f"--print-config {client}: there are {', '.join(CLIENTS)}")
    return f"{found.title}: {found.where}", found.write(how)


def own_command(flags: list[str]) -> tuple[str, ...]:
    """How this program is started again: by paths, since clients with a window have no PATH of yours."""
    script = os.path.join(os.path.dirname(sys.executable), "sandbox")
    begin = (script,) if os.access(script, os.X_OK) else (sys.executable, "-P", "-m", "sandbox")
    return (*begin, "mcp", *flags)
