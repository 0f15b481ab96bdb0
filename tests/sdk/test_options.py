"""Options: what is accepted, what is refused, and that the message says what is wrong and what is allowed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Environment, LocalSandbox, Mount, SandboxOptions, UsageError
from sandbox.engine.thread import EngineThread
from sandbox.options import ISOLATIONS, NETWORKS
from sandbox.protocol import messages as m
from sandbox.sdk.convert import session_options


def test_the_defaults_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_ISOLATION", raising=False)
    options = SandboxOptions()
    assert options.__dict__ == {
        "name": None, "memory": 1024, "cpus": 1.0, "timeout": 30.0, "env": {}, "isolation": "auto",
        "environment": None, "network": "none", "files": {}, "processes": 128, "disk": 1024, "output": 10,
        "without": (), "persist": True, "storage": None, "checkpoints": 1000, "idle_timeout": None, "secrets": {},
        "language": None, "seed": None,
    }  # fmt: skip


def test_the_environment_names_the_default_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ISOLATION", "landlock")
    assert SandboxOptions().isolation == "landlock"
    assert SandboxOptions(isolation="auto").isolation == "auto"
    monkeypatch.setenv("SANDBOX_ISOLATION", "firecracker")
    with pytest.raises(UsageError, match="isolation='firecracker' is not one of 'auto', 'namespaces'"):
        SandboxOptions()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": 5}, "name is 5, not a text"),
    ({"name": "\ud800"}, "cannot be encoded as UTF-8"),
    ({"memory": 31}, "memory=31 is not a number of MB from 32 to 16777216"),
    ({"memory": "1024"}, "memory='1024' is not a number of MB"),
    ({"memory": True}, "memory=True is not a number"),
    ({"memory": 64.5}, "memory=64.5 is not a whole number of MB"),
    ({"memory": math.nan}, "memory=nan is not a number"),
    ({"memory": None}, "memory=None is not a number"),
    ({"cpus": 0}, "cpus=0 is not a number of cpus from 0.01 to 4096"),
    ({"cpus": math.inf}, "cpus=inf is not a number"),
    ({"cpus": -1}, "cpus=-1 is not a number"),
    ({"timeout": 0}, "timeout=0 is not a number of seconds from 0.001 to 1000000000, or None for no limit"),
    ({"timeout": -1}, "timeout=-1 is not a number"),
    ({"timeout": "30"}, "timeout='30' is not a number"),
    ({"processes": 0}, "processes=0 is not a number of processes from 1 to 1048576"),
    ({"processes": 1.5}, "processes=1.5 is not a whole number of processes"),
    ({"seed": -1}, "seed=-1 is not a whole number from 0 to 9223372036854775807"),
    ({"seed": 1 << 63}, "seed=9223372036854775808 is not a whole number"),
    ({"seed": 1.5}, "seed=1.5 is not a whole number"),
    ({"seed": "1"}, "seed='1' is not a whole number"),
    ({"seed": True}, "seed=True is not a whole number"),
    ({"disk": 0.5}, "disk=0.5 is not a number of MB from 1 to 1073741824"),
    ({"disk": 1.5}, "disk=1.5 is not a whole number of MB"),
    ({"output": 0}, "output=0 is not a number of MB from 0.001 to 1024"),
    ({"output": 10**400}, "is not a number of MB"),
    ({"isolation": "docker"}, "isolation='docker' is not one of 'auto', 'namespaces', 'landlock', 'none'"),
    ({"isolation": None}, "isolation=None is not one of"),
    ({"network": "all"}, "network='all' is not one of 'none', 'learn', 'host'"),
    ({"env": "A=1"}, "env is 'A=1': it must map names to values"),
    ({"env": None}, "env is None: it must map names to values"),
    ({"env": {"1A": "x"}}, "env has '1A', which is not the name of an environment variable: letters, digits and _"),
    ({"env": {"A=B": "x"}}, "env has 'A=B'"),
    ({"env": {"A\n": "x"}}, "env has 'A"),
    ({"env": {"": "x"}}, "env has ''"),
    ({"env": {5: "x"}}, "env has 5"),
    ({"env": {"Ä": "x"}}, "env has 'Ä'"),
    ({"env": {"A": 1}}, "env['A'] is 1, not a text without NUL"),
    ({"env": {"A": None}}, "env['A'] is None, not a text"),
    ({"env": {"A": "x\0y"}}, "not a text without NUL"),
    ({"env": {"A": "\udcff"}}, "cannot be encoded as UTF-8"),
    ({"env": {"A": "x" * 131_072}}, "env['A'] takes 131075 bytes; the kernel takes at most 131071 for one"),
    ({"files": ["/data"]}, "files is ['/data']: it must map paths inside to paths here"),
    ({"files": {"data": "x"}}, "files has the target 'data': it must be an absolute path"),
    ({"files": {"/": "x"}}, "files has the target '/'"),
    ({"files": {"/a/../b": "x"}}, "files has the target '/a/../b'"),
    ({"files": {"/data/": "x"}}, "files has the target '/data/'"),
    ({"files": {"//data": "x"}}, "files has the target '//data'"),
    ({"files": {"/a//b": "x"}}, "files has the target '/a//b'"),
    ({"files": {"/a\0": "x"}}, "files has the target"),
    ({"files": {5: "x"}}, "files has the target 5"),
    ({"files": {"/a": ""}}, "Mount has the path '': it must not be empty"),
    ({"files": {"/a": "x\0"}}, "nor contain NUL"),
    ({"files": {"/a": 5}}, "Mount has the path 5: it must be a str or a pathlib.Path"),
    ({"files": {"/a": b"x"}}, "Mount has the path b'x'"),
    ({"files": {"/a": None}}, "Mount has the path None"),
    ({"files": {"/a": "x", "/a/b": "y"}}, "files has the target '/a/b' below '/a': one cannot lie in another"),
    ({"environment": 5}, "environment has the path 5"),
    ({"environment": ""}, "environment has the path ''"),
    ({"without": "seccomp"}, "without is 'seccomp': it must be a list of names"),
    ({"without": [5]}, "without has 5"),
    ({"without": ["seccomp", ""]}, "without has ''"),
]


@pytest.mark.parametrize(
    ("options", "message"), REFUSED, ids=[f"{n}-{next(iter(o))}" for n, (o, _) in enumerate(REFUSED)]
)
def test_a_value_that_makes_no_sense_is_refused_and_the_message_says_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        SandboxOptions(**options)
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Mount(""), "must not be empty"),
        (lambda: Mount("x", writable="yes"), "Mount has writable='yes', which is neither True nor False"),  # type: ignore[arg-type]
        (lambda: Environment(packages="numpy"), "Environment(packages=...) is 'numpy': it must be a list of names"),
        (lambda: Environment(packages=["six", ""]), "Environment(packages=...) has ''"),
        (lambda: Environment(packages=["--index-url=x"]), "Environment(packages=...) has '--index-url=x'"),
        (lambda: Environment(packages=[5]), "Environment(packages=...) has 5"),  # type: ignore[list-item]
        (lambda: Environment(warm="numpy"), "Environment(warm=...) is 'numpy'"),
        (lambda: Environment(python=""), "must not be empty"),
        (lambda: Environment(python=3.12), "Environment has the path 3.12"),  # type: ignore[arg-type]
        (lambda: Environment(allow_source_builds=1), "allow_source_builds=1, which is neither"),  # type: ignore[arg-type]
    ],
)
def test_mounts_and_environments_are_checked_where_they_are_made(build: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        build()
    assert message in str(caught.value)


def test_every_isolation_and_network_is_accepted() -> None:
    for isolation in ISOLATIONS:
        assert SandboxOptions(isolation=isolation).isolation == isolation
    for network in NETWORKS:
        assert SandboxOptions(network=network).network == network


def test_the_bounds_themselves_are_accepted() -> None:
    least = SandboxOptions(memory=32, cpus=0.01, timeout=0.001, processes=1, disk=1, output=0.001)
    most = SandboxOptions(memory=1 << 24, cpus=4096, timeout=1e9, processes=1 << 20, disk=1 << 30, output=1024)
    assert SandboxOptions(timeout=None).timeout is None
    for options in (least, most):
        assert m.decode_request(m.encode(m.OpenSession(session_options(options))))


def test_whole_numbers_may_come_as_floats_and_from_numpy() -> None:
    options = SandboxOptions(memory=512.0, processes=np.int64(7), cpus=np.float64(0.5), disk=np.int32(3))  # type: ignore[arg-type]
    assert (options.memory, options.processes, options.cpus, options.disk) == (512, 7, 0.5, 3)
    assert isinstance(options.memory, int)
    assert isinstance(options.processes, int)
    assert m.decode_request(m.encode(m.OpenSession(session_options(options))))


def test_paths_may_be_path_objects(tmp_path: Path) -> None:
    options = SandboxOptions(files={"/data": tmp_path, "/out": Mount(tmp_path, writable=True)}, environment=tmp_path)
    assert options.files == {"/data": Mount(str(tmp_path)), "/out": Mount(str(tmp_path), True)}
    assert options.environment == str(tmp_path)


def test_options_are_not_changed_by_what_happens_to_their_sources() -> None:
    env, files, without = {"A": "1"}, {"/data": "x"}, ["cgroup"]
    options = SandboxOptions(env=env, files=files, without=without)  # type: ignore[arg-type]
    env["B"], files["/more"] = "2", "y"
    without.append("seccomp")
    assert (options.env, list(options.files), options.without) == ({"A": "1"}, ["/data"], ("cgroup",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.memory = 1  # type: ignore[misc]


def test_but_returns_a_checked_copy() -> None:
    options = SandboxOptions(name="a", memory=512)
    assert options.but(memory=64) == SandboxOptions(name="a", memory=64)
    assert options.memory == 512
    with pytest.raises(UsageError, match="memory=1 "):
        options.but(memory=1)


@given(
    memory=st.integers(32, 1 << 24),
    cpus=st.floats(0.01, 4096),
    timeout=st.none() | st.floats(0.001, 1e9),
    env=st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), st.text().filter(lambda t: "\0" not in t)
    ),
)
def test_what_is_accepted_travels_as_it_is(
    memory: int, cpus: float, timeout: float | None, env: dict[str, str]
) -> None:
    options = SandboxOptions(memory=memory, cpus=cpus, timeout=timeout, env=env)
    request = m.decode_request(m.encode(m.OpenSession(session_options(options))))
    assert isinstance(request, m.OpenSession)
    sent = request.options
    assert (sent.memory, sent.cpus, sent.timeout, sent.env) == (memory, cpus, timeout, env)


# --- the builder and keywords ---------------------------------------------------------------------------------------


def test_the_builder_collects_what_it_is_told() -> None:
    config = (
        SandboxOptions.builder()
        .name("configured-sandbox").memory(1024).cpus(2.0).timeout(300.0)
        .env("DEBUG", "true").env("LOG_LEVEL", "info")
        .option("network", "host").option("env", {"FIRST": "1"})
        .build()
    )  # fmt: skip
    assert config == SandboxOptions(
        name="configured-sandbox", memory=1024, cpus=2.0, timeout=300.0, network="host",
        env={"FIRST": "1", "DEBUG": "true", "LOG_LEVEL": "info"},
    )  # fmt: skip


def test_an_empty_builder_gives_the_defaults() -> None:
    assert SandboxOptions.builder().build() == SandboxOptions()


def test_the_builder_refuses_an_unknown_option_at_once_and_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"there is no option 'netwrok'; there are: name, memory, .*network"):
        SandboxOptions.builder().option("netwrok", "host")


def test_the_builder_checks_values_when_it_builds() -> None:
    builder = SandboxOptions.builder().memory(1)
    with pytest.raises(UsageError, match="memory=1 "):
        builder.build()


def test_a_builder_can_be_used_again() -> None:
    builder = SandboxOptions.builder().memory(64)
    first = builder.build()
    assert builder.env("A", "1").build() == first.but(env={"A": "1"})
    assert first.env == {}


def test_the_options_fit_a_sandbox_as_keywords() -> None:
    options = SandboxOptions(name="a", memory=64, env={"A": "1"}, files={"/data": "."}, environment=Environment())
    assert LocalSandbox.create(**options.__dict__).options == options


def test_a_sandbox_refuses_an_unknown_option_and_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="there is no option 'memroy'; there are: name, memory"):
        LocalSandbox.create(memroy=5)


# --- values that are compared ---------------------------------------------------------------------------------------


def test_equal_mounts_are_one() -> None:
    assert Mount("a") == Mount(Path("a")) == Mount("a", writable=False)
    assert len({Mount("a"), Mount(Path("a")), Mount("a", True), Mount("b")}) == 3


def test_equal_environments_are_one() -> None:
    assert Environment("3.12", ["six"]) == Environment("3.12", ("six",)) == Environment(Path("3.12"), iter(["six"]))
    same = {Environment(), Environment(packages=[]), Environment(None, (), ("numpy", "pandas", "matplotlib.pyplot"))}
    assert len(same) == 1
    others = {
        Environment("3.12"),
        Environment(packages=["six"]),
        Environment(warm=[]),
        Environment(allow_source_builds=True),
    }
    assert len(others | same) == 5


def test_an_environment_travels_whole() -> None:
    options = SandboxOptions(environment=Environment("3.12", ["six"], ["six"], allow_source_builds=True))
    assert session_options(options).environment == m.EnvironmentSpec(None, "3.12", ("six",), ("six",), True)
    assert session_options(SandboxOptions()).environment == m.EnvironmentSpec()


def test_relative_paths_are_resolved_when_the_options_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    sent = session_options(SandboxOptions(files={"/data": "sub", "/home": "~/x"}, environment="venv"))
    assert sent.files == (m.MountSpec("/data", f"{tmp_path}/sub"), m.MountSpec("/home", "/home/somebody/x"))
    assert sent.environment.path == f"{tmp_path}/venv"


def test_what_only_looks_like_a_number_is_refused() -> None:
    for value in (SimpleNamespace(), [64], {64}, 64j, b"64"):
        with pytest.raises(UsageError, match="is not a number of MB"):
            SandboxOptions(memory=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"without": ("cgroups",)}, "without has 'cgroups', which is no restriction: did you mean 'cgroup'"),
        ({"without": ("seccomp.nope",)}, "without has 'seccomp.nope', which is no restriction"),
        ({"without": ("xyzzy",)}, "there are: capabilities, cgroup,"),
        ({"environment": "/no/such/environment"}, "environment='/no/such/environment' is not there"),
        ({"files": {"/data": "/no/such/path"}}, "/no/such/path"),
    ],
)
async def test_what_only_the_engine_knows_is_refused_alike(
    engine: EngineThread, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        await LocalSandbox(**options).start()
    assert message in caught.value.message


def test_packages_with_versions_apart_are_refused() -> None:
    with pytest.raises(UsageError, match=r"it must be a list of names, such as \['six==1.17'\]"):
        Environment(packages={"tabulate": "0.9"})
