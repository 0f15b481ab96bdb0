"""Changing modules right after their import, without getting in the way of imports."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

from sandbox import LocalSandbox
from sandbox.inside.python.hooks import AfterImport

Watch = Callable[..., list[str]]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of modules of our own; what is imported from it is forgotten afterwards."""
    (tmp_path / "hooked_plain.py").write_text("value = 1\n")
    (tmp_path / "hooked_broken.py").write_text("raise ImportError('not today')\n")
    package = tmp_path / "hooked_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("from .part import name\n")
    (package / "part.py").write_text("name = 'part'\n")
    (tmp_path / "hooked_namespace" / "leaf").mkdir(parents=True)
    (tmp_path / "hooked_namespace" / "leaf" / "__init__.py").write_text("value = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    finders = list(sys.meta_path)
    yield tmp_path
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.startswith("hooked_")]:
        del sys.modules[name]


@pytest.fixture
def watch(modules: Path) -> Watch:
    """Installs a change of the named modules that notes each module it was given."""

    def watch(*names: str) -> list[str]:
        seen: list[str] = []

        def change(module: types.ModuleType) -> None:
            seen.append(module.__name__)
            module.changed = True  # type: ignore[attr-defined]

        AfterImport(dict.fromkeys(names, change)).install()
        return seen

    return watch


def test_a_module_is_changed_after_its_code_has_run(watch: Watch) -> None:
    seen = watch("hooked_plain")
    assert seen == []
    module = importlib.import_module("hooked_plain")
    assert (module.value, module.changed, seen) == (1, True, ["hooked_plain"])


def test_other_modules_are_left_alone(watch: Watch) -> None:
    seen = watch("hooked_plain")
    package = importlib.import_module("hooked_package")
    assert not hasattr(package, "changed")
    assert seen == []


def test_a_module_that_is_there_already_is_changed_at_once(watch: Watch) -> None:
    module = importlib.import_module("hooked_plain")
    assert watch("hooked_plain") == ["hooked_plain"]
    assert module.changed


def test_an_import_within_a_package_sees_the_change(watch: Watch, modules: Path) -> None:
    (modules / "hooked_package" / "__init__.py").write_text("from .part import changed\n")
    watch("hooked_package.part")
    assert importlib.import_module("hooked_package").changed


def test_the_loader_stays_what_it_is(watch: Watch, modules: Path) -> None:
    unwatched = importlib.util.find_spec("hooked_plain")
    assert unwatched is not None  # its loader may be another library's, which has hooked itself in
    watch("hooked_plain")
    module = importlib.import_module("hooked_plain")
    loader = module.__loader__
    assert module.__spec__ is not None
    assert module.__spec__.loader is loader
    assert isinstance(loader, SourceFileLoader)
    assert type(loader) is type(unwatched.loader)
    assert vars(loader).keys() == vars(unwatched.loader).keys() >= {"name", "path"}
    assert loader.get_source("hooked_plain") == "value = 1\n"


def test_a_reload_is_changed_again(watch: Watch) -> None:
    seen = watch("hooked_plain")
    module: Any = importlib.import_module("hooked_plain")
    module.value = 5
    assert importlib.reload(module) is module
    assert module.value == 1
    assert seen == ["hooked_plain"] * 2


def test_looking_for_a_spec_imports_nothing_and_the_spec_works(watch: Watch) -> None:
    seen = watch("hooked_plain")
    spec = importlib.util.find_spec("hooked_plain")
    assert spec is not None
    assert spec.loader is not None
    assert "hooked_plain" not in sys.modules
    assert seen == []
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.changed


def test_a_lazy_loader_changes_the_module_when_it_loads_it(watch: Watch) -> None:
    seen = watch("hooked_plain")
    spec = importlib.util.find_spec("hooked_plain")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["hooked_plain"] = module
    spec.loader.exec_module(module)
    assert seen == []
    assert module.value == 1  # the first look at an attribute is what loads it
    assert seen == ["hooked_plain"]


def test_an_import_that_fails_fails_as_ever_and_can_be_tried_again(watch: Watch, modules: Path) -> None:
    seen = watch("hooked_broken")
    for _ in range(2):
        with pytest.raises(ImportError, match="not today"):
            importlib.import_module("hooked_broken")
    assert seen == []
    (modules / "hooked_broken.py").write_text("value = 'today after all'\n")
    importlib.invalidate_caches()
    assert importlib.import_module("hooked_broken").changed


def test_a_module_that_does_not_exist_is_not_found(watch: Watch) -> None:
    watch("hooked_missing")
    with pytest.raises(ModuleNotFoundError, match="No module named 'hooked_missing'"):
        importlib.import_module("hooked_missing")


def test_namespace_packages_work(watch: Watch) -> None:
    seen = watch("hooked_namespace", "hooked_namespace.leaf")
    leaf = importlib.import_module("hooked_namespace.leaf")
    assert leaf.changed
    assert seen[-1] == "hooked_namespace.leaf"


def test_a_change_that_fails_is_said_and_the_module_works(modules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(module: types.ModuleType) -> None:
        raise AttributeError("another version")

    AfterImport({"hooked_plain": change}).install()
    assert importlib.import_module("hooked_plain").value == 1
    assert "what hooked_plain shows is not captured: AttributeError: another version" in capsys.readouterr().err


def test_finders_that_come_later_are_asked_too(watch: Watch) -> None:
    class Loader(importlib.abc.Loader):
        def exec_module(self, module: types.ModuleType) -> None:
            module.value = 3  # type: ignore[attr-defined]

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(
            self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
        ) -> ModuleSpec | None:
            return importlib.util.spec_from_loader(name, Loader()) if name == "hooked_made_up" else None

    watch("hooked_made_up")
    sys.meta_path.insert(0, Finder())
    watch("hooked_made_up")
    module = importlib.import_module("hooked_made_up")
    assert (module.value, module.changed) == (3, True)


def test_builtin_modules_are_not_disturbed(watch: Watch) -> None:
    """Their loader is a class that they share, so they cannot be changed; none of ours is one."""
    seen = watch("_hooked_builtin", "zlib")
    before = sys.modules.pop("zlib")
    try:
        assert importlib.import_module("zlib").crc32(b"") == 0
    finally:
        sys.modules["zlib"] = before
    assert "_hooked_builtin" not in seen


async def test_in_a_session_pyplot_can_be_reloaded_and_still_captures(box: LocalSandbox) -> None:
    await box.run(
        "import importlib, matplotlib.backend_bases, matplotlib.pyplot as plt, matplotlib.figure\n"
        "importlib.reload(matplotlib.figure)\nimportlib.reload(plt)"
    )
    execution = await box.run("plt.plot([1])\nplt.show()")
    assert len(execution.artifacts) == 1


async def test_in_a_session_loaders_of_hooked_libraries_are_their_own(box: LocalSandbox) -> None:
    execution = await box.run(
        "import matplotlib.pyplot as plt\ntype(plt.__spec__.loader).__name__, sorted(vars(plt.__spec__.loader))"
    )
    assert execution.text == "('SourceFileLoader', ['name', 'path'])"
