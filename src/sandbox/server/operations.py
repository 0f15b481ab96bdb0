"""The HTTP API as a table: each line is a route, a message of the protocol, and what it answers with."""

from __future__ import annotations

from typing import Any, NamedTuple

from sandbox.protocol import messages as m


class Operation(NamedTuple):
    """`of`: the message that it becomes, from the path, the query (GET, DELETE) or a JSON body.

    `answer`: its last event.

    `form` is "json" for the last event alone, "events" for all of them as lines, or "" for a handler of its own.
    `fixed` are fields of the message that no caller sets here.
    """

    method: str
    path: str
    of: type[Any] | None
    answer: type[Any] | None
    summary: str
    form: str = "json"
    fixed: dict[str, Any] = {}  # noqa: RUF012 - never changed
    query: dict[str, type[Any]] = {}  # noqa: RUF012 - never changed


FIELDS = {"sandbox": "session", "app": "name"}
"""What the message's fields are called that have another name in paths."""
_ONE = "/v1/sandboxes/{sandbox}"
_BOX: tuple[Operation, ...] = (
    Operation("POST", f"{_ONE}/start", None, m.SessionOpened, "Start a sandbox that was stopped", ""),
    Operation("POST", f"{_ONE}/stop", m.CloseSession, m.Done, "End its worker and keep its session"),
    Operation("DELETE", _ONE, m.DeleteSession, m.Done, "Delete it with all that is stored of it"),
)
_RUNNING: tuple[Operation, ...] = (
    Operation(
        "POST", f"{_ONE}/executions", m.Run, m.ExecutionFinished, "Run code; its events as they come", "events",
        query={"attached": bool},
    ),
    Operation("GET", f"{_ONE}/executions", m.GetHistory, m.HistoryListed, "The last executions, newest first"),
    Operation(
        "GET", f"{_ONE}/executions/{{execution}}/events", None, m.ExecutionFinished,
        "The events of an execution, running or just ended, from number `after` on", "", query={"after": int},
    ),
    Operation("POST", f"{_ONE}/interrupt", m.Interrupt, m.Done, "Interrupt the execution that runs"),
    Operation("POST", f"{_ONE}/complete", m.Complete, m.Completions, "What could stand at a place in code"),
    Operation("POST", f"{_ONE}/clear_cache", m.ClearCache, m.Done, "Forget compiled code"),
    Operation("POST", f"{_ONE}/reseed", m.Reseed, m.Done, "Let its random generators go on otherwise"),
    Operation(
        "POST", f"{_ONE}/commands", m.StartCommand, m.CommandFinished, "Run a program; its events as they come",
        "events", query={"attached": bool},
    ),
    Operation(
        "GET", f"{_ONE}/commands/{{command}}/events", None, m.CommandFinished,
        "The events of a command, running or just ended, from number `after` on", "", query={"after": int},
    ),
    Operation("POST", f"{_ONE}/commands/{{command}}/stdin", m.WriteStdin, m.Done, "Write to its input (base64)"),
    Operation("POST", f"{_ONE}/commands/{{command}}/signal", m.SignalCommand, m.Done, "Send it a signal"),
)  # fmt: skip
_FILES: tuple[Operation, ...] = (
    Operation("GET", f"{_ONE}/files/{{path}}", None, None, "A file's content; a `Range` of it", ""),
    Operation("PUT", f"{_ONE}/files/{{path}}", None, None, "Write a file: the body is its content", ""),
    Operation("DELETE", f"{_ONE}/files/{{path}}", m.RemoveFile, m.Done, "Remove a file or directory"),
    Operation("GET", f"{_ONE}/list", m.ListFiles, m.FilesListed, "What a directory has"),
    Operation("GET", f"{_ONE}/stat", m.StatFile, m.FilesListed, "Describe one file"),
    Operation("POST", f"{_ONE}/rename", m.RenameFile, m.Done, "Rename a file or directory"),
    Operation("POST", f"{_ONE}/directories", m.MakeDirectory, m.Done, "Make a directory"),
    Operation("GET", f"{_ONE}/watch", m.WatchFiles, m.Done, "Changes below a directory as they happen", "events"),
    Operation("GET", f"{_ONE}/artifacts", m.ListArtifacts, m.ArtifactsListed, "Its artifacts, oldest first"),
    Operation("DELETE", f"{_ONE}/artifacts/{{artifact}}", None, m.ArtifactsListed, "Remove an artifact", ""),
    Operation("GET", f"{_ONE}/artifacts/{{artifact}}", None, None, "An artifact's content; a `Range` of it", ""),
)
_TIME: tuple[Operation, ...] = (
    Operation("GET", f"{_ONE}/checkpoints", m.ListCheckpoints, m.CheckpointsListed, "Its checkpoints, oldest first"),
    Operation("POST", f"{_ONE}/checkpoints", m.MakeCheckpoint, m.CheckpointsListed, "Save, and give it a label"),
    Operation("POST", f"{_ONE}/rollback", m.Rollback, m.Done, "Go back to a checkpoint"),
    Operation("POST", f"{_ONE}/fork", m.Fork, m.Done, "Make sandboxes with these ids that begin where it is now"),
    Operation("GET", f"{_ONE}/variables", m.ListVariables, m.VariablesListed, "Its variables as of its checkpoint"),
    Operation("GET", f"{_ONE}/diff", m.Compare, m.Compared, "What differs between two checkpoints"),
    Operation("GET", f"{_ONE}/digest", m.GetDigest, m.Digested, "By which the same checkpoint is known elsewhere"),
    Operation(
        "GET", f"{_ONE}/export", None, None, "The session as a notebook or an archive", "", query={"format": str}
    ),
    Operation("GET", f"{_ONE}/network", m.GetNetwork, m.NetworkShown, "What it may reach, and what it has asked for"),
    Operation("POST", f"{_ONE}/network", m.SetNetwork, m.Done, "Change what it may reach, at once"),
    Operation("GET", f"{_ONE}/metrics", m.GetMetrics, m.MetricsMeasured, "What it uses right now"),
    Operation("GET", f"{_ONE}/stats", m.GetStats, m.StatsCounted, "Counts and averages of its executions"),
)
_APPS: tuple[Operation, ...] = (
    Operation("POST", f"{_ONE}/apps", m.StartWebApp, m.WebAppsListed, "Start a web app", fixed={"anywhere": True}),
    Operation("GET", f"{_ONE}/apps", m.ListWebApps, m.WebAppsListed, "Its web apps", fixed={"name": None}),
    Operation("GET", f"{_ONE}/apps/{{app}}", m.ListWebApps, m.WebAppsListed, "One web app, with its url as of now"),
    Operation("POST", f"{_ONE}/apps/{{app}}/restart", m.RestartWebApp, m.WebAppsListed, "Start it again, at its url"),
    Operation("POST", f"{_ONE}/apps/{{app}}/screenshot", m.ScreenshotWebApp, m.ArtifactsListed, "A picture of a page"),
    Operation("DELETE", f"{_ONE}/apps/{{app}}", m.StopWebApp, m.WebAppsListed, "End a web app, and its url"),
)
_ALL: tuple[Operation, ...] = (
    Operation("GET", "/v1/sandboxes", None, None, "The sandboxes of the key's owner", ""),
    Operation("POST", "/v1/sandboxes", None, m.SessionOpened, "Make and start a sandbox", ""),
    Operation("GET", _ONE, None, None, "One sandbox", ""),
)
OPERATIONS = (*_ALL, *_BOX, *_RUNNING, *_FILES, *_TIME, *_APPS)
