"""`sandbox.animations`: scenes of Manim, rendered inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from sandbox.errors import UsageError
from sandbox.options import checked_timeout
from sandbox.protocol import messages as m
from sandbox.results import Animation, AnimationProgress, Artifact
from sandbox.sdk import checks
from sandbox.sdk.connection import Connection
from sandbox.sdk.execution import Execution, failure
from sandbox.sdk.transport import notify

RENDER_SECONDS = 300.0
ALL = "all"


class Animations:
    """Renders scenes, and lists what was rendered.

    A rendering is an execution of the session, with a number, a place in its history and a checkpoint. It has the
    session's files and limits, and none of its variables. The files lie in `artifacts/` of the workspace, named for
    their scenes, and become artifacts; they are removed as these are.
    """

    def __init__(self, connection: Connection, artifact_of: Callable[[m.ArtifactInfo], Artifact]) -> None:
        self._connection = connection
        self._artifact_of = artifact_of

    async def create(  # noqa: PLR0913
        self,
        code: str,
        quality: str = "medium_quality",
        scene_name: str | None = None,
        format: str = "mp4",  # noqa: A002 - what Manim calls it
        *,
        timeout: float | None = RENDER_SECONDS,
        on_progress: Callable[[AnimationProgress], Any] | None = None,
        on_stdout: Callable[[str], Any] | None = None,
        on_stderr: Callable[[str], Any] | None = None,
    ) -> Animation:
        """Render one scene.

        Args:
            code: Python that defines scenes: `from manim import *` and classes that extend Scene.
            quality: low_quality (854 x 480, 15 frames a second), medium_quality (1280 x 720, 30), high_quality
                (1920 x 1080, 60), production_quality (2560 x 1440, 60) or fourk_quality (3840 x 2160, 60).
            scene_name: Which one, where the code has several.
            format: mp4, gif, webm; or png for the last frame as a picture.
            timeout: Seconds, None for no limit.
            on_progress: Called with an `AnimationProgress` for each animation that begins, and as frames are made.
            on_stdout: Called with what the code prints, as it does.
            on_stderr: Called with what the code prints, as it does.

        Raises SandboxExecutionError if the code fails: its `error_type` is SceneNotFound or SceneAmbiguous, which name
        the scenes there are, ManimMissing, LatexMissing, NothingToShow, or what the code has raised. Raises
        SandboxTimeoutError, SandboxLimitError.
        """
        scenes = () if scene_name is None else (checks.text("scene_name", scene_name),)
        request = self._request(code, quality, format, timeout, scenes)
        execution = await self._rendered(request, on_progress, on_stdout, on_stderr)
        if execution.exception is not None:
            raise failure(execution)
        return execution.animations[0]

    async def render(  # noqa: PLR0913
        self,
        code: str,
        quality: str = "medium_quality",
        scenes: Sequence[str] | None = ALL,
        format: str = "mp4",  # noqa: A002
        *,
        timeout: float | None = RENDER_SECONDS,
        check: bool = True,
        on_progress: Callable[[AnimationProgress], Any] | None = None,
        on_stdout: Callable[[str], Any] | None = None,
        on_stderr: Callable[[str], Any] | None = None,
    ) -> Execution:
        """Render several scenes; return the execution, with its `animations`.

        `scenes` has the names of some, or is "all"; None means the only one that there is. With `check=False` a failure
        is in the execution's `exception`, and the scenes that were done before are there. The rest is as for `create`.
        """
        names = () if scenes is None or scenes == ALL else _names(scenes)
        request = self._request(code, quality, format, timeout, names, every=scenes == ALL)
        execution = await self._rendered(request, on_progress, on_stdout, on_stderr)
        if check and execution.exception is not None:
            raise failure(execution)
        return execution

    async def list(self) -> list[Animation]:
        """Return what was rendered in the session and not removed since, oldest first."""
        answer = await self._connection.ask(m.ListAnimations(self._connection.session), m.AnimationsListed)
        return [Animation.of(info, self._artifact_of) for info in answer.animations]

    def _request(
        self, code: str, quality: str, form: str, timeout: float | None, scenes: tuple[str, ...], *, every: bool = False
    ) -> m.CreateAnimation:
        return m.CreateAnimation(
            self._connection.session,
            checks.text("code", code),
            checks.text("quality", quality),
            scenes,
            every,
            checks.text("format", form),
            checked_timeout(timeout),
        )

    async def _rendered(
        self,
        request: m.CreateAnimation,
        on_progress: Callable[[AnimationProgress], Any] | None,
        on_stdout: Callable[[str], Any] | None,
        on_stderr: Callable[[str], Any] | None,
    ) -> Execution:
        execution = Execution(code=request.code, _artifact_of=self._artifact_of)
        async with aclosing(self._connection.stream(request)) as events:
            async for event in events:
                execution.add(event)
                if isinstance(event, m.Output):
                    await notify(on_stdout if event.stream == "stdout" else on_stderr, event.text)
                elif isinstance(event, m.AnimationProgress):
                    await notify(on_progress, AnimationProgress.of(event))
        return execution


def _names(scenes: Sequence[str]) -> tuple[str, ...]:
    if isinstance(scenes, str):
        raise UsageError(f"scenes is {scenes!r}: it must be {ALL!r}, or a list, such as [{scenes!r}]")
    if not scenes:
        raise UsageError(f"scenes is empty: it must be {ALL!r}, or name some")
    return tuple(checks.text("scenes", one) for one in scenes)
