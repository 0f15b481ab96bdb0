"""Where attacks run: sandboxes by their options, and the way to run one attack in one of them."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from sandbox.attack.probe import Calls, Of
from sandbox.options import Environment
from sandbox.sync import LocalSandbox

if TYPE_CHECKING:
    from sandbox.attack.bait import Bait
    from sandbox.engine.thread import EngineThread
    from sandbox.sync import Execution

_HOSTILE = Path(__file__).with_name("hostile")
_LOAD = """
import sys, types
for name, source in SOURCES.items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__package__ = "attacks"
    exec(compile(source, name, "exec"), vars(module))
del name, source, module
"""
_LOAD_SECONDS = 60.0


class Outcome(NamedTuple):
    """What an attack returned, or the name of the errno that it met. `execution` is all that is known of it."""

    value: Any
    error: str
    execution: Execution


class AttackFailed(Exception):
    """The attack itself did not work: it raised what is no OSError, or its worker ended."""


class Scene:
    """Sandboxes of one engine, the same one for the same options. `bait` is what they are to get at."""

    def __init__(self, engine: EngineThread, bait: Bait, isolation: str, environment: Any = None) -> None:
        self.engine, self.bait, self.isolation = engine, bait, isolation
        self.environment = Environment(warm=()) if environment is None else environment
        self._boxes: dict[str, LocalSandbox] = {}

    def box(self, **options: Any) -> LocalSandbox:
        """A started sandbox with these options, which others may use too. Raises SandboxStartError."""
        key = repr(sorted(options.items()))
        if key not in self._boxes:
            self._boxes[key] = self.new_box(**options)
        return self._boxes[key]

    def new_box(self, **options: Any) -> LocalSandbox:
        """A started sandbox that nobody else uses; the caller deletes it. Raises SandboxStartError."""
        options = {"isolation": self.isolation, "environment": self.environment, "timeout": 20.0, **options}
        box = LocalSandbox(engine=self.engine, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # isolation="none" warns
            box.start()
        box.run(loading(), timeout=_LOAD_SECONDS)
        return box

    @contextlib.contextmanager
    def own_box(self, **options: Any) -> Iterator[LocalSandbox]:
        """The same, deleted at the end."""
        box = self.new_box(**options)
        try:
            yield box
        finally:
            box.delete()

    # --- what attacks are given ---

    def resolved(self, arguments: Any, **options: Any) -> Any:
        """Arguments, with what is known only now. `options` are of the sandbox in which the attack is to run."""
        if isinstance(arguments, (tuple, list)):
            return [self.resolved(argument, **options) for argument in arguments]
        if isinstance(arguments, Of) and arguments.name.startswith("neighbour"):
            return arguments.resolved(self._neighbour(**options))
        return arguments.resolved(self.bait) if isinstance(arguments, (Of, Calls)) else arguments

    def _neighbour(self, **options: Any) -> dict[str, Any]:
        """What another sandbox with the same options has."""
        box = self.box(**options, env={"NEIGHBOUR": "1"})
        directory = Path(box._started.workspace_dir)
        port = attack_in(box, "listen_on_a_port")
        temporary = attack_in(box, "make_temporary").value
        attack_in(box, "create", "note")
        return {
            "neighbour port": port.value,
            "neighbour directory": f"/.workspaces/{directory.name}",
            "neighbour file": f"{directory}/note",
            "neighbour temporary": temporary,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete all sandboxes."""
        for box in self._boxes.values():
            if box._opened is not None:
                box.delete()
        self._boxes.clear()


def attack_in(box: LocalSandbox, name: str, *args: Any) -> Outcome:
    """Run one attack in `box`. Raises AttackFailed."""
    arguments = json.dumps(args)
    execution = box.run(f"import attacks, json; print(attacks.outcome({name!r}, {arguments!r}))", check=False)
    if execution.exception is not None:
        raise AttackFailed(execution.exception.traceback or str(execution.exception))
    answer = json.loads(execution.stdout.splitlines()[-1])
    return Outcome(answer["value"], answer["error"], execution)


def loading() -> str:
    """Code that puts the attacks into a worker, where no file of theirs is to be seen."""
    files = [_HOSTILE / "__init__.py", *sorted(set(_HOSTILE.glob("*.py")) - {_HOSTILE / "__init__.py"})]
    names = ["attacks", *(f"attacks.{file.stem}" for file in files[1:])]
    sources = {name: file.read_text("utf-8") for name, file in zip(names, files, strict=True)}
    return _LOAD.replace("SOURCES", repr(sources))
