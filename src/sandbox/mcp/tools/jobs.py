"""`start_job` and `job`: work that takes longer than a client waits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sandbox.errors import SandboxTimeoutError
from sandbox.mcp import commands, executions, fields
from sandbox.mcp.animations import Animated
from sandbox.mcp.call import Call
from sandbox.mcp.commands import Ran
from sandbox.mcp.executions import Executed
from sandbox.mcp.jobs import Job, Work
from sandbox.mcp.reply import Reply
from sandbox.mcp.sessions import Held
from sandbox.mcp.text import cut
from sandbox.mcp.tool import Hints, Tool

_MOST_WAIT = 50.0
_SHELL = "shell"

START = """\
Begin Python or JavaScript code, or a shell command, that runs in the background, and return at once with a \
job_id: for training, downloads, long loops, servers, whatever may take more than a minute. Then ask for it with \
the tool job. Shorter work is better done with execute or shell_execute, which return the result.

A job in Python, JavaScript or TypeScript runs in the session like execute does: its variables are there afterwards, \
and until it has ended that session takes no other code (fork_session or another session_id does; shell_execute and \
files work meanwhile). A job ends when the server does."""

JOB = """\
Look after a job that start_job or create_manim_animation has begun: wait for it and return its result, or, while \
it runs, the end of what it has printed so far; or cancel it, which interrupts code like Ctrl-C and keeps the \
variables. Ask again while status is running."""


class StartJob(Struct, forbid_unknown_fields=True):
    """The arguments."""

    code: Annotated[str, Meta(description="Source text, or with language=shell a line of shell.")]
    language: Annotated[
        Literal["python", "javascript", "typescript", "shell"],
        Meta(description="What code is.", extra_json_schema={"type": "string"}),
    ] = "python"
    timeout: Annotated[float, Meta(gt=0, le=86_400, description="Seconds until it is stopped.")] = 3600.0
    session_id: fields.SessionId = ""


class Started(Struct):
    """A job that has begun."""

    session_id: fields.AnsweredSession
    job_id: Annotated[str, Meta(description="Pass it to the tool job.")]


async def _start(call: Call, asked: StartJob) -> Reply:
    cell = asked.language != _SHELL
    async with call.session(asked.session_id, alone=cell, language=asked.language if cell else None) as held:
        job = Job(call.client, held, asked.language, exclusive=cell)
        job.start(_cell(call, held, asked) if cell else _shell(call, held, asked))
        call.server.jobs.add(job)
        text = f"[job {job.id} has begun in session {held.name}: ask for it with the tool job]"
        return Reply(Started(held.name, job.id), text)


def _cell(call: Call, held: Held, asked: StartJob) -> Work:
    async def work(job: Job) -> Reply:
        done = await held.box.run(
            asked.code,
            language=asked.language,
            timeout=asked.timeout,
            check=False,
            on_stdout=job.printed,
            on_stderr=job.printed,
        )
        return await executions.reply(call, held, done)

    return work


def _shell(call: Call, held: Held, asked: StartJob) -> Work:
    async def work(job: Job) -> Reply:
        try:
            done = await held.box.command.shell(
                asked.code, timeout=asked.timeout, on_stdout=job.printed, on_stderr=job.printed
            )
        except SandboxTimeoutError as error:
            done = error.execution  # type: ignore[assignment]
        return await commands.reply(call, held, done)

    return work


class AskJob(Struct, forbid_unknown_fields=True):
    """The arguments."""

    job_id: Annotated[str, Meta(description="As start_job or create_manim_animation has returned it.")]
    action: Annotated[
        Literal["wait", "cancel"],
        Meta(
            description="wait for its end, up to the seconds of wait; or cancel it.",
            extra_json_schema={"type": "string"},
        ),
    ] = "wait"
    wait: Annotated[float, Meta(ge=0, le=_MOST_WAIT, description="Seconds to wait for its end; 0 only looks.")] = 20.0


class JobTold(Struct, omit_defaults=True):
    """A job."""

    session_id: fields.AnsweredSession
    job_id: str
    language: Annotated[
        Literal["python", "javascript", "typescript", "shell", "manim"], Meta(extra_json_schema={"type": "string"})
    ]
    status: Annotated[Literal["running", "done", "failed", "cancelled"], Meta(extra_json_schema={"type": "string"})]
    seconds: Annotated[float, Meta(description="How long it has run.")]
    output: Annotated[str, Meta(description="While it runs, the end of what it has printed.")] = ""
    error: Annotated[str, Meta(description="Why it has no result.")] = ""
    executed: Annotated[Executed | None, Meta(description="The result of code, as execute returns it.")] = None
    ran: Annotated[Ran | None, Meta(description="The result of shell, as shell_execute returns it.")] = None
    animated: Annotated[
        Animated | None, Meta(description="The result of a rendering, as create_manim_animation returns it.")
    ] = None


async def _job(call: Call, asked: AskJob) -> Reply:
    job = call.server.jobs.find(call.client, asked.job_id)
    if asked.action == "cancel":
        await job.cancel()
    else:
        async with call.progress() as progress:
            progress.printed(job.tail)
            await job.wait(asked.wait)
    return _told(job)


def _told(job: Job) -> Reply:
    told = JobTold(job.held.name, job.id, job.language, _status(job), round(job.seconds, 1), error=job.error)  # type: ignore[arg-type]
    heading = f"[job {job.id}: {told.status}, {told.seconds:g} s]"
    if job.reply is None:
        told.output = cut(job.tail)
        text = "\n".join(part for part in (told.output.rstrip("\n"), told.error, heading) if part)
        return Reply(told, text, failed=told.status == "failed")
    if isinstance(job.reply.data, Executed):
        told.executed = job.reply.data
    elif isinstance(job.reply.data, Ran):
        told.ran = job.reply.data
    elif isinstance(job.reply.data, Animated):
        told.animated = job.reply.data
    return Reply(told, f"{job.reply.text}\n{heading}", job.reply.content, job.reply.failed)


def _status(job: Job) -> str:
    if job.running:
        return "running"
    if job.cancelled:
        return "cancelled"
    return "done" if job.reply is not None and not job.reply.failed else "failed"


TOOLS = (
    Tool("start_job", "Start a long job", START, StartJob, Started, _start, Hints(destructive=True)),
    Tool("job", "Wait for a job, or cancel it", JOB, AskJob, JobTold, _job, Hints(destructive=True, idempotent=True)),
)
