"""Contexts: several namespaces of variables in one sandbox.

A sandbox has one session, so one namespace and one process. The variables of a context that is not current lie in a
dictionary in it, `_e2b`, which is stored like any variable. To run code in another context, code that is run before
exchanges them. Functions keep working, since the namespace stays the same object; what an inactive context has left
running in threads sees the variables of the current one. Environment variables of one execution are set and put back
in the same way.
"""

from __future__ import annotations

import msgspec

from sandbox.server.e2b import paths

_SWITCH = """
def switch(space, wanted, cwd):
    import os
    home = os.environ["HOME"]
    known = space.setdefault("_e2b", {"now": "default", "kept": {}})
    if known["now"] == wanted:
        return
    names = [name for name in space if name != "_e2b" and not (name.startswith("__") and name.endswith("__"))]
    # Without namespaces the workspace is elsewhere after a restart.
    here = os.path.relpath(os.getcwd(), home)
    here = os.getcwd() if here.startswith("..") else here
    known["kept"][known["now"]] = {name: space.pop(name) for name in names}, here
    variables, there = known["kept"].pop(wanted, ({}, cwd))
    known["now"] = wanted
    os.chdir(os.path.join(home, there))
    space.update(variables)
"""
_DROP = """
def drop(space, unwanted, cwd):
    import os
    known = space.get("_e2b") or {"now": "default", "kept": {}}
    if known["now"] == unwanted:
        for name in list(space):
            if name != "_e2b" and not (name.startswith("__") and name.endswith("__")):
                del space[name]
        os.chdir(os.path.join(os.environ["HOME"], cwd))
    known["kept"].pop(unwanted, None)
"""
_SET = """
def set_env(space, wanted):
    import os
    space.setdefault("_e2b_env", []).append({name: os.environ.get(name) for name in wanted})
    os.environ.update(wanted)
"""
_RESTORE = """
def restore_env(space):
    import os
    for before in reversed(space.pop("_e2b_env", [])):
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
"""


def to_switch(context: str, cwd: str) -> str:
    """Code after which the variables of a context are there. `cwd` is where a new one begins."""
    return _call(_SWITCH, "switch", context, paths.inward(cwd))


def to_drop(context: str, cwd: str) -> str:
    """Code after which a context has no variables."""
    return _call(_DROP, "drop", context, paths.inward(cwd))


def to_set(env: dict[str, str]) -> str:
    """Code after which these environment variables are set."""
    return _call(_SET, "set_env", env)


def to_restore() -> str:
    """Code after which they are as they were."""
    return _call(_RESTORE, "restore_env")


def _call(source: str, name: str, *values: object) -> str:
    """One statement that leaves nothing behind but what the function does to the namespace."""
    given = "".join(f", {_literal(value)}" for value in values)
    return f"exec({source + f'{name}(space{given})'!r}, {{'space': globals()}})"


def _literal(value: object) -> str:
    """A value as Python code: its JSON, read by Python."""
    return f"__import__('json').loads({msgspec.json.encode(value).decode()!r})"
