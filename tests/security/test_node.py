"""What hostile JavaScript tries. The restrictions are those of every worker; here they are met by another program."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.conftest import ISOLATION

from sandbox import LocalSandbox, NodeSandbox
from sandbox.engine.thread import EngineThread

TRY = """
const tried = (action) => { try { return String(action()) } catch (error) { return error.code ?? error.message } };
const fs = require('fs'); const cp = require('child_process');
"""


@pytest.fixture
async def js(node: EngineThread) -> AsyncIterator[LocalSandbox]:
    box = NodeSandbox.create_local("hostile")
    await box.start()
    await box.run(TRY)
    yield box
    if box._opened is not None:
        await box.delete()


async def value(box: LocalSandbox, code: str) -> str:
    """What an attempt comes to: its result, or the code of its error."""
    return str((await box.run(f"tried(() => {code})")).text).strip("'")


async def test_it_has_the_same_restrictions_in_force_as_python(js: LocalSandbox, box: LocalSandbox) -> None:
    assert js.enforced == box.enforced
    assert js.isolation == box.isolation


async def test_it_cannot_read_what_is_the_host_s(js: LocalSandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the host's", "utf-8")
    secret.chmod(0o644)
    for path in (secret, Path("/etc/shadow"), Path.home() / ".bashrc"):
        assert await value(js, f"fs.readFileSync({str(path)!r})") in {"ENOENT", "EACCES"}


async def test_it_cannot_write_outside_its_directories(js: LocalSandbox) -> None:
    for path in ("/etc/intruder", "/usr/intruder", "/intruder"):
        assert await value(js, f"fs.writeFileSync({path!r}, 'x')") in {"EROFS", "EACCES", "EPERM"}
    assert await value(js, "fs.writeFileSync('mine', 'x') ?? fs.readFileSync('mine')") == "x"  # the control


async def test_it_is_not_root_and_has_no_capabilities(js: LocalSandbox) -> None:
    status = await value(js, "fs.readFileSync('/proc/self/status')")
    assert "CapEff:\\t0000000000000000" in status
    assert "NoNewPrivs:\\t1" in status
    assert "Seccomp:\\t2" in status
    if os.geteuid() == 0:
        assert await value(js, "process.setuid(0)") in {"EPERM", "EINVAL"}


@pytest.mark.needs_namespaces
async def test_it_sees_no_process_but_its_own(js: LocalSandbox) -> None:
    assert await value(js, "fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).join()") == "1"


async def test_it_cannot_signal_the_host(js: LocalSandbox) -> None:
    assert await value(js, f"process.kill({os.getpid()}, 'SIGCONT')") in {"ESRCH", "EPERM"}


async def test_it_reaches_no_network(js: LocalSandbox) -> None:
    code = """await new Promise((done) => {
        const socket = require('net').connect({ host: '192.0.2.1', port: 80 });
        socket.on('error', (error) => done(error.code)); socket.on('connect', () => done('connected'));
    })"""
    assert (await js.run(code)).text in {"'ENETUNREACH'", "'EACCES'"}


async def test_it_cannot_make_namespaces_or_mounts_with_programs(js: LocalSandbox) -> None:
    for program in ("unshare -r true", "mount -t tmpfs none /workspace"):
        assert await value(js, f"cp.execSync({program!r}, {{ stdio: 'ignore' }})") != ""
        assert await value(js, f"cp.spawnSync('/bin/sh', ['-c', {program!r}]).status") != "0"


async def test_its_environment_has_nothing_of_the_host_s(js: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set((await value(js, "Object.keys(process.env).join()")).split(","))
    assert "PATH" in names
    assert not names & (set(os.environ) - {"PATH", "HOME", "USER", "LANG", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME"}) - {
        "SANDBOX", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MPLBACKEND", "MPLCONFIGDIR",
    }  # fmt: skip


async def test_what_it_starts_has_none_of_its_sockets(js: LocalSandbox) -> None:
    await js.files.write("look.sh", "for fd in 0 3 4 5; do [ -e /proc/self/fd/$fd ] && echo $fd; done; true")
    seen = "cp.spawnSync('/bin/sh', ['look.sh'], { stdio: ['pipe', 'pipe', 'ignore'] }).stdout"
    assert await value(js, seen) == "0\\n"


@pytest.mark.parametrize(
    "code",
    [
        "fs.writeSync(3, Buffer.from([255, 255, 255, 255]))",  # a frame that is too large
        "fs.writeSync(3, Buffer.concat([Buffer.from([2, 0, 0, 0]), Buffer.from('{}')]))",  # none of its events
        "fs.closeSync(3)",
    ],
)
async def test_a_broken_protocol_ends_the_worker_and_not_the_engine(js: LocalSandbox, code: str) -> None:
    await js.run("let kept = 1")
    execution = await js.run(f"{code}; await new Promise((go) => setTimeout(go, 3000))", check=False, timeout=20)
    assert execution.status == "crashed"
    assert (await js.run("kept")).text == "1"


async def test_a_forged_delta_is_refused_and_the_session_goes_on_from_before(js: LocalSandbox) -> None:
    await js.run("let kept = 1")
    execution = await js.run("fs.writeSync(5, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8])); kept = 2", check=False)
    assert any("could not be saved" in warning for warning in execution.warnings)
    assert (await js.run("kept")).text == "1"


async def test_what_it_says_of_its_variables_is_only_shown(js: LocalSandbox) -> None:
    await js.run("class __proto__x {}; const o = { toString() { throw 1 }, [Symbol.toStringTag]: '../../etc' }")
    assert {one.name for one in js.variables()} >= {"o"}


async def test_patched_builtins_do_not_keep_the_worker_from_answering(js: LocalSandbox) -> None:
    code = "Array.prototype.map = JSON.stringify = Map.prototype.get = () => { throw 1 }; Object.prototype.evil = 1"
    await js.run(code, check=False)
    execution = await js.run("1 + 1", check=False)
    assert execution.text == "2" or str(execution.state) == "restored"
    await js.rollback(1)
    assert (await js.run("1 + 1")).text == "2"


async def test_processes_are_limited(make: Callable[..., LocalSandbox]) -> None:
    box = await make(language="javascript", processes=24)
    await box.run(TRY)
    # Where the kernel does not count, somebody looks now and then, and ends it.
    code = """await new Promise((done) => {
        const failed = (error) => { console.error(error.code); done() };
        for (let n = 0; n < 40; n++) cp.spawn('sleep', ['20']).on('error', failed);
        setTimeout(done, 15000);
    })"""
    execution = await box.run(code, check=False)
    assert execution.exception is not None or "EAGAIN" in execution.stderr
    if ISOLATION != "landlock":
        assert str(execution.cause) in {"processes", "None"}
