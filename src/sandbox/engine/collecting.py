"""What an execution has done to the workspace, and the artifacts that it leaves there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from sandbox.engine.artifacts import DIRECTORY
from sandbox.engine.scan import printable
from sandbox.protocol.messages import ArtifactInfo, FileChanges

if TYPE_CHECKING:
    from sandbox.engine.artifacts import ArtifactStore
    from sandbox.engine.workspaces import Workspace


class Collected(NamedTuple):
    """Files that changed since the last look, copies of those below artifacts/, and what there is to be said."""

    files: FileChanges
    artifacts: list[ArtifactInfo]
    warnings: list[str]


async def collect(number: int, workspace: Workspace, store: ArtifactStore) -> Collected:
    """Look at the workspace from outside, and copy what became new below artifacts/ out of reach."""
    files, scan = await workspace.changed()
    warnings = [] if scan.complete else ["the workspace has too many files or levels to look at all of them"]
    if not (files.created or files.modified):
        return Collected(files, [], warnings)
    names = {printable(path): path for path in scan.files}
    wanted = [names[path] for path in (*files.created, *files.modified) if path.startswith(DIRECTORY)]
    if not wanted:
        return Collected(files, [], warnings)
    found, left_out = await asyncio.to_thread(store.collect, number, workspace.fd, wanted)
    return Collected(files, found, warnings + left_out)
