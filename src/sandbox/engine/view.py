"""What a zygote's workers see of the host's files: the interpreter, the system's libraries, little of /etc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sandbox.inside
from sandbox.engine.interpreters import Interpreter
from sandbox.inside.contain.policy import INSIDE_UID, WORKSPACE

INSIDE = str(Path(sandbox.inside.__file__).parent)
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
# Certificates, time zone, fonts, the loader's cache, and names of protocols: nothing that speaks of the host's users.
_ETC = (
    "alternatives", "ca-certificates", "debian_version", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "localtime", "magic", "mime.types", "os-release", "pki/ca-trust", "pki/tls/certs", "protocols", "services",
    "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip
# Where programs written for other sandboxes look for their files: E2B's have this home directory.
_OTHER_HOME = "/home/user"
_VAR = ("/var/cache/fontconfig",)
_FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n"
    f"sandbox:x:{INSIDE_UID}:{INSIDE_UID}::{WORKSPACE}:/bin/sh\n",
    "/etc/group": f"root:x:0:\nsandbox:x:{INSIDE_UID}:\n",
    "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "/etc/hostname": "sandbox\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "/etc/resolv.conf": "",
}
# At level `landlock` /proc is the host's: only these files of it, and the worker's own directory.
_PROC = tuple(f"/proc/{name}" for name in ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version"))


def view(interpreter: Interpreter, staging: str) -> dict[str, Any]:
    """The view as the keeper gets it (`inside.contain.read_only_view.View`)."""
    links = {path: os.readlink(path) for path in _SYSTEM if os.path.islink(path)}
    shown = _without_nested([*_system(), *interpreter.roots, INSIDE])
    if not any(path == _OTHER_HOME or path.startswith(f"{_OTHER_HOME}/") for path in shown):
        links[_OTHER_HOME] = WORKSPACE
    return {
        "shown": shown,
        "links": links,
        "files": _FILES,
        "directories": ["/home", "/root", "/opt"],
        "staging": staging,
    }


def readable(interpreter: Interpreter) -> list[str]:
    """What may be read at level `landlock`, where the host's file system stays in place."""
    merged = [os.path.realpath(path) for path in _SYSTEM if os.path.islink(path)]
    return [*_without_nested([*_system(), *merged, *interpreter.roots, INSIDE]), *filter(os.path.exists, _PROC)]


def _system() -> list[str]:
    directories = [path for path in _SYSTEM if os.path.isdir(path) and not os.path.islink(path)]
    etc = [f"/etc/{name}" for name in _ETC]
    python = [str(path) for path in Path("/etc").glob("python3*")]
    return [path for path in (*directories, *etc, *python, *_VAR) if os.path.exists(path)]


def _without_nested(paths: list[str]) -> list[str]:
    """Drop what lies below another path in the list: it is shown with that one."""
    kept: list[str] = []
    for path in sorted({os.path.normpath(path) for path in paths}):
        if not any(path == parent or path.startswith(f"{parent}/") for parent in kept):
            kept.append(path)
    return kept


def _programs(interpreter: Interpreter) -> list[str]:
    """Where what runs in the sandbox finds the program that runs it."""
    found = (
        [interpreter.executable] if interpreter.node is None else [interpreter.node.executable, interpreter.executable]
    )
    return [str(Path(path).parent) for path in found]


def variables(interpreter: Interpreter, workspace: str, tmp: str) -> dict[str, str]:
    """The environment variables that every worker and command starts with."""
    return {
        "PATH": ":".join(dict.fromkeys((*_programs(interpreter), "/usr/local/bin", "/usr/bin", "/bin"))),
        "HOME": workspace,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "TMPDIR": tmp,
        "XDG_CACHE_HOME": f"{tmp}/.cache",
        "MPLCONFIGDIR": f"{tmp}/.matplotlib",
        "MPLBACKEND": "module://sandbox_inside.python.figures",
        # A thread inside BLAS or libgomp at a fork hangs the new process, and a sandbox has one cpu by default.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "SANDBOX": "1",
    }
