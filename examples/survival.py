"""What a session of the demo's survives, and how it goes back and forks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

from screen import Screen, duration

from sandbox import Execution, LocalSandbox, SandboxCrashedError, SandboxTimeoutError

LABEL = "analysed"
_HOST = Path(__file__).with_name("host.py")
_LOOK = "len(airports), sorted(figures)"
_MARKED = "len(airports), sum(airports.lonely), len(open('lonely.txt').read().split())"
_AGAIN = "'lonely' in airports, len(airports)"
_LIMITS = (50, 75, 100)
_FURTHER = "airports = airports[airports['km'] < {km}]; print(len(airports), 'airports have another within {km} km')"
_SECONDS = 30


async def crash(screen: Screen, box: LocalSandbox) -> None:
    """Let the code run too long, then crash the interpreter."""
    screen.heading("A timeout keeps the variables; after a crash they are restored")
    screen.line("while True: pass", "bold")
    try:
        await box.run("while True: pass", timeout=0.3)
    except SandboxTimeoutError as error:
        screen.failed(error)
    screen.line(_LOOK, "bold")
    screen.end(await box.run(_LOOK))
    screen.line("import ctypes; ctypes.string_at(0)", "bold")
    try:
        await box.run("import ctypes; ctypes.string_at(0)")
    except SandboxCrashedError as error:
        screen.failed(error)
    screen.line(f"{_LOOK}, in a fresh worker", "bold")
    screen.end(await box.run(_LOOK))


async def kill(screen: Screen, box: LocalSandbox) -> None:
    """Hand the session to another process, and end that with SIGKILL in the middle of an execution."""
    screen.heading("kill -9 of the process that holds the session")
    session = box.session_id
    await box.stop()
    host = await asyncio.create_subprocess_exec(sys.executable, str(_HOST), session, stdout=PIPE)
    assert host.stdout is not None
    screen.line(f"Process {os.getpid()} gives the session to process {host.pid}:", "bold")
    for _ in range(2):
        told = await asyncio.wait_for(host.stdout.readline(), _SECONDS)
        screen.output(told.decode(errors="replace"))
    host.send_signal(signal.SIGKILL)
    await host.wait()
    screen.line(f"Process {host.pid} was killed. Process {os.getpid()} goes on after what was finished:", "bold")
    begin = time.perf_counter()
    await box.start()
    screen.line(_MARKED, "bold")
    screen.end(await box.run(_MARKED))
    screen.line(f"Variables and files, {duration(time.perf_counter() - begin)} after the kill.")


async def travel(screen: Screen, box: LocalSandbox) -> None:
    """Go back to what has a label, and on from there in three ways at once."""
    screen.heading("Back to a checkpoint, and on from there in three ways at once")
    now = next(one for one in box.checkpoints() if one.current)
    found = box.diff(LABEL, now)
    added = ", ".join(found.files.added)
    screen.line(f"Since {LABEL!r} {len(found.variables.changed)} variables have changed, and {added} is new.")
    await box.rollback(LABEL)
    screen.line(f"rollback({LABEL!r})", "bold")
    screen.end(await box.run(_AGAIN))
    begin = time.perf_counter()
    forks = await box.fork(len(_LIMITS))
    screen.line(f"fork({len(_LIMITS)}): {duration(time.perf_counter() - begin)}", "bold")
    for done in await asyncio.gather(*(_further(fork, km) for fork, km in zip(forks, _LIMITS, strict=True))):
        screen.output(done.stdout)
    screen.line(f"{_AGAIN}, where they were forked from", "bold")
    screen.end(await box.run(_AGAIN))


async def _further(fork: LocalSandbox, km: int) -> Execution:
    done = await fork.run(_FURTHER.format(km=km))
    await fork.delete()
    return done
