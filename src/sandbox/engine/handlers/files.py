"""The files of a workspace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.engine import files
from sandbox.engine.answers import sent
from sandbox.errors import SandboxClosedError, UsageError
from sandbox.protocol import messages as m

if TYPE_CHECKING:
    from sandbox.engine.handlers import Emit, Handlers
    from sandbox.engine.sessions import Sessions
    from sandbox.engine.workspaces import Workspace


async def read_file(sessions: Sessions, request: m.ReadFile, emit: Emit) -> m.Done:
    await sent(files.reading(sessions.workspace(request.session), request), emit)
    return m.Done()


async def write_file(sessions: Sessions, request: m.WriteFile, emit: Emit) -> m.Done:
    workspace = sessions.workspace(request.session)
    await _check_disk(sessions, request, workspace)
    await workspace.note(await asyncio.to_thread(files.write, workspace, request))
    return m.Done()


async def _check_disk(sessions: Sessions, request: m.WriteFile, workspace: Workspace) -> None:
    limit = sessions.active(request.session).options.disk << 20
    size = max(request.size, len(request.data))
    left = len(request.data) if request.append else size
    if left > 1 << 16 and (await workspace.look()).bytes + left > limit:
        raise UsageError(f"writing {size} bytes to {request.path!r} exceeds disk={limit >> 20} MB")


async def list_files(sessions: Sessions, request: m.ListFiles, emit: Emit) -> m.FilesListed:
    return m.FilesListed(await asyncio.to_thread(files.listing, sessions.workspace(request.session), request))


async def stat_file(sessions: Sessions, request: m.StatFile, emit: Emit) -> m.FilesListed:
    return m.FilesListed((files.describe(sessions.workspace(request.session), request),))


async def remove_file(sessions: Sessions, request: m.RemoveFile, emit: Emit) -> m.Done:
    workspace = sessions.workspace(request.session)
    await workspace.note(await asyncio.to_thread(files.remove, workspace, request))
    return m.Done()


async def rename_file(sessions: Sessions, request: m.RenameFile, emit: Emit) -> m.Done:
    workspace = sessions.workspace(request.session)
    await workspace.note(*files.rename(workspace, request))
    return m.Done()


async def make_directory(sessions: Sessions, request: m.MakeDirectory, emit: Emit) -> m.Done:
    files.make_directory(sessions.workspace(request.session), request)
    return m.Done()


async def watch_files(sessions: Sessions, request: m.WatchFiles, emit: Emit) -> m.Done:
    from sandbox.engine.inotify import watch  # noqa: PLC0415 - few sessions watch

    session, workspace = sessions.active(request.session), sessions.workspace(request.session)
    watching = asyncio.ensure_future(watch(workspace, request, emit, emit.drained))
    session.watches.add(watching)
    try:
        await asyncio.wait([watching])
    finally:
        session.watches.discard(watching)
        watching.cancel()
    if watching.cancelled():
        raise SandboxClosedError(f"session {request.session} was stopped or deleted: it is not watched any more")
    await watching
    return m.Done()


HANDLERS: Handlers = {
    m.ReadFile: read_file,
    m.WriteFile: write_file,
    m.ListFiles: list_files,
    m.StatFile: stat_file,
    m.RemoveFile: remove_file,
    m.RenameFile: rename_file,
    m.MakeDirectory: make_directory,
    m.WatchFiles: watch_files,
}
