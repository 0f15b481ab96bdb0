"""The command line as arguments and options."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from sandbox.cli.arguments import Arguments, files_to_bring, sandbox_options, without_flags
from sandbox.cli.flags import megabytes, repl_parser, run_parser
from sandbox.errors import UsageError
from sandbox.network.policy import NetworkPolicy, Secret
from sandbox.options import Mount, SandboxOptions


@pytest.mark.parametrize(
    "argv",
    [["-c", "1"], ["-c", "1", "a", "-b", "--json"], ["x.py"], ["x.py", "--json", "-c"], ["-"], ["-", "-v"], ["-c", ""]],
)
def test_a_command_line_without_flags_is_read_as_the_parser_reads_it(argv: list[str]) -> None:
    assert without_flags(argv) == run_parser().parse_args(argv, Arguments())


@pytest.mark.parametrize("argv", [["-c", "1", "--json"], ["--json", "x.py"], ["--", "x.py"], ["-c"], ["-v"], []])
def test_a_command_line_with_flags_is_left_to_the_parser(argv: list[str]) -> None:
    assert without_flags(argv) is None


def test_no_flags_mean_the_options_defaults() -> None:
    run = without_flags(["x.py"])
    assert run is not None
    assert sandbox_options(run) == SandboxOptions(persist=False)
    assert sandbox_options(repl_parser().parse_args([], Arguments())) == SandboxOptions(timeout=None, persist=False)


def test_only_a_session_that_is_named_is_stored() -> None:
    args = run_parser().parse_args(["--session", "one", "x.py"], Arguments())
    assert args.session == "one"
    assert sandbox_options(args) == SandboxOptions()


def test_every_flag_reaches_its_option() -> None:
    argv = [
        "--memory",
        "2G",
        "--cpus",
        "0.5",
        "--timeout",
        "none",
        "--processes",
        "7",
        "--disk",
        "64M",
        "--output",
        "3",
    ]
    argv += ["--env", "A=b=c", "--mount", "/a:/b", "--mount", "/c:/d:rw", "--mount", "/e:f:/g:ro", "--network", "host"]
    argv += ["--isolation", "landlock", "--environment", "/env", "--session", "one", "--storage", "5G"]
    argv += ["--checkpoints", "9", "x.py"]
    assert sandbox_options(run_parser().parse_args(argv, Arguments())) == SandboxOptions(
        memory=2048,
        storage=5120,
        checkpoints=9,
        cpus=0.5,
        timeout=None,
        processes=7,
        disk=64,
        output=3,
        env={"A": "b=c"},
        files={"/b": Mount("/a"), "/d": Mount("/c", writable=True), "/g": Mount("/e:f")},
        network="host",
        isolation="landlock",
        environment="/env",
    )


def test_two_mounts_at_one_place_are_refused() -> None:
    args = run_parser().parse_args(["--mount", "/a:/b", "--mount", "/c:/b", "x.py"], Arguments())
    with pytest.raises(UsageError, match="mounted at /b already"):
        sandbox_options(args)


def test_hosts_and_secrets_are_allowed_by_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "the-value-of-it")
    argv = ["--allow-host", "api.example.com", "--allow-host", "*.b.example:443", "--secret", "API_KEY@api.example.com"]
    options = sandbox_options(run_parser().parse_args([*argv, "x.py"], Arguments()))
    assert options.network == NetworkPolicy(["api.example.com", "*.b.example:443"])
    assert options.secrets == {"API_KEY": Secret("the-value-of-it", ["api.example.com"])}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--allow-host", "a", "--network", "host"], "goes without --network host"),
        (["--allow-host", "a/b"], "'a/b' has a path"),
        (["--allow-host", "a", "--secret", "NOT_SET@a"], "there is no variable NOT_SET"),
        (["--allow-host", "a", "--secret", "HOME"], "NAME@HOST"),
        (["--secret", "HOME@a.example"], "add --allow-host a.example"),
        (["--allow-host", "b.example", "--secret", "HOME@a.example"], "add --allow-host a.example"),
        (["--network", "host", "--secret", "HOME@a.example"], "goes without --network host"),
    ],
)
def test_flags_for_the_network_that_make_no_sense_are_refused(
    argv: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    with pytest.raises(UsageError, match=re.escape(message)):
        sandbox_options(run_parser().parse_args([*argv, "x.py"], Arguments()))


def test_packages_ask_for_an_environment() -> None:
    args = run_parser().parse_args(["--with", "six", "--with", "attrs>=23", "x.py"], Arguments())
    environment = sandbox_options(args).environment
    assert getattr(environment, "packages", None) == ("six", "attrs>=23")


@pytest.mark.parametrize(
    ("given", "inside"),
    [("{}/x", "x"), ("{}/x:y", "y"), ("{}/x:d/", "d/x"), ("{}/x:y:z", None), ("{}/a:b", "a:b"), ("{}/a:b:c", "c")],
)
def test_files_are_split_at_the_colon_that_is_not_in_their_name(tmp_path: Path, given: str, inside: str | None) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "a:b").touch()
    text = given.format(tmp_path)
    if inside is None:
        with pytest.raises(UsageError, match="there is no file"):
            files_to_bring([text])
    else:
        ((_, found),) = files_to_bring([text])
        assert found == inside


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("512M", 512), ("64mb", 64), ("2G", 2048), ("1.5G", 1536), ("0.5gb", 512)]
)
def test_sizes(text: str, size: int) -> None:
    assert megabytes(text) == size


@pytest.mark.parametrize("text", ["", "M", "1.3", "0.0001G", "1T", "1 G", "-1", "1e3", "nan", "\u0661"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size such as"):
        megabytes(text)
