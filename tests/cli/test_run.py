"""`sandbox run`: what it runs, what comes out where, and its exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli


def test_code_prints_to_standard_output_and_nothing_else(cli: Cli) -> None:
    done = cli("run", "-c", "print(6 * 7)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_the_value_of_the_last_expression_is_not_printed(cli: Cli) -> None:
    assert cli("run", "-c", "6 * 7").stdout == ""


def test_the_streams_stay_apart(cli: Cli) -> None:
    done = cli("run", "-c", "import sys; print('out'); print('err', file=sys.stderr)")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_both_streams_in_one_file_keep_their_order(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    code = "import sys\nfor n in range(50): print('out', n); print('err', n, file=sys.stderr)"
    output, _ = start("run", "-c", code, stderr=subprocess.STDOUT).communicate(timeout=30)
    assert output.decode().splitlines() == [f"{name} {n}" for n in range(50) for name in ("out", "err")]


def test_text_that_is_not_ascii_comes_out_as_utf_8(cli: Cli) -> None:
    assert cli("run", "-c", "print('grüße \\N{SNOWMAN}')", LC_ALL="C").stdout == "grüße \N{SNOWMAN}\n"


# --- what Python would do -------------------------------------------------------------------------------------------

ENDINGS = {
    "an exception": "def f():\n    raise ValueError('no')\nprint('before')\nf()\n",
    "a chained exception": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e\n",
    "an exception with a note": "e = OSError(5, 'x')\ne.add_note('a note')\nraise e\n",
    "an exception group": "raise ExceptionGroup('two', [ValueError(1), TypeError(2)])\n",
    "a syntax error": "print('never')\nx = = 1\n",
    "an interrupt of its own": "raise KeyboardInterrupt\n",
    "sys.exit()": "import sys\nsys.exit()\n",
    "sys.exit(0)": "import sys\nsys.exit(0)\n",
    "sys.exit(3)": "import sys\nsys.exit(3)\n",
    "sys.exit(-1)": "import sys\nsys.exit(-1)\n",
    "sys.exit(True)": "import sys\nsys.exit(True)\n",
    "sys.exit with a text": "import sys\nsys.exit('a text')\n",
    "sys.exit with a list": "import sys\nsys.exit([1, 2])\n",
    "os._exit(7)": "import os\nprint('x', flush=True)\nos._exit(7)\n",
    "os._exit(0)": "import os\nos._exit(0)\n",
    "exit()": "exit(5)\n",
    "arguments": "import sys\nprint(sys.argv[1:], __name__)\n",
    "an exit handler": "import atexit\natexit.register(print, 'handled')\nprint('first')\n",
    "an exit handler after an exception": "import atexit\natexit.register(print, 'handled')\n1 / 0\n",
    "a thread that is no daemon": (
        "import threading, time\n"
        "go = threading.Event()\n"
        "def late():\n    go.wait()\n    time.sleep(0.1)\n    print('late')\n"
        "threading.Thread(target=late).start()\nprint('main ends')\ngo.set()\n"
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor()\npool.submit(print, 'from the pool')\n"
    ),
    "a latin-1 source": "# coding: latin-1\nprint(ascii('\u00e4'))\n",
    "dos line ends": "x = '''a\r\nb'''\r\nprint(len(x))\r\n1 / 0\r\n",
    "nothing": "",
}


@pytest.mark.parametrize("source", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_script_ends_exactly_as_under_python(cli: Cli, tmp_path: Path, source: str) -> None:
    script = tmp_path / "script.py"
    script.write_bytes(source.encode("latin-1" if "latin-1" in source else "utf-8"))
    python = subprocess.run(
        [sys.executable, str(script), "a", "--json", "b c"], capture_output=True, text=True, timeout=30, check=False
    )
    done = cli("run", str(script), "a", "--json", "b c")
    # A shell shows a Python that died from SIGINT as 130.
    expected = 128 - python.returncode if python.returncode < 0 else python.returncode
    assert (done.returncode, done.stdout, done.stderr) == (expected, python.stdout, python.stderr)


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        (["-c", "import sys; print(sys.argv)"], ["-c"]),
        (["-c", "import sys; print(sys.argv)", "a", "-v", "--json"], ["-c", "a", "-v", "--json"]),
        (["-c", "import sys; print(sys.argv)", "--", "--json"], ["-c", "--json"]),
        (["-"], ["-"]),
        (["-", "a", "'\"\\"], ["-", "a", "'\"\\"]),
        (["sub/script.py", "-x"], ["sub/script.py", "-x"]),
        (["--", "sub/script.py"], ["sub/script.py"]),
    ],
)
def test_sys_argv_is_what_python_would_give(cli: Cli, tmp_path: Path, arguments: list[str], argv: list[str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "script.py").write_text("import sys; print(sys.argv)")
    done = cli("run", *arguments, given="import sys; print(sys.argv)")
    assert done.stdout == f"{argv}\n"


def test_a_script_finds_itself_and_what_was_brought_beside_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import helper, pathlib\nprint(helper.x, pathlib.Path(__file__).read_text()[:6])"
    )
    (tmp_path / "helper.py").write_text("x = 5")
    assert cli("run", "--file", "helper.py", "script.py").stdout == "5 import\n"


def test_a_crash_in_native_code_is_128_and_the_signal(cli: Cli) -> None:
    done = cli("run", "-c", "import ctypes; ctypes.string_at(0)")
    assert done.returncode == 128 + 11
    assert done.stderr == "sandbox: crashed: the worker died from SIGSEGV. Look for native code that crashes.\n"


def test_there_is_no_standard_input_inside(cli: Cli) -> None:
    done = cli("run", "-c", "import sys; print(repr(sys.stdin.read())); input()", given="not for the code\n")
    assert done.stdout == "''\n"
    assert done.stderr.splitlines()[-1].startswith("EOFError: input()")


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_timeout_is_124_with_the_remedy_on_a_line_of_its_own(cli: Cli) -> None:
    done = cli("run", "--timeout", "0.3", "-c", "print('begun')\nwhile True: pass")
    assert (done.returncode, done.stdout) == (124, "begun\n")
    *traceback, last = done.stderr.splitlines()
    assert traceback[-1] == "KeyboardInterrupt"
    assert last == (
        "sandbox: timeout: it did not end in 0.3 s. Give it longer with --timeout SECONDS, or split the work."
    )


def test_code_that_ignores_its_timeout_is_killed_and_still_124(cli: Cli) -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    assert cli("run", "--timeout", "0.3", "-c", code).returncode == 124


def test_a_thread_that_never_ends_meets_the_timeout_too(cli: Cli) -> None:
    code = "import threading\nthreading.Thread(target=threading.Event().wait).start()\nprint('main is over')"
    done = cli("run", "--timeout", "0.5", "-c", code)
    assert (done.returncode, done.stdout) == (124, "main is over\n")


def test_too_much_memory_names_the_flag(cli: Cli) -> None:
    done = cli("run", "--memory", "100M", "-c", "x = b'1' * 300_000_000")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "MemoryError\nsandbox: memory: it needed more than 100 MB of memory. "
        "Give it more with --memory MB, or work on smaller pieces.\n"
    )


def test_output_beyond_its_limit_is_dropped_and_said(cli: Cli) -> None:
    done = cli("run", "--output", "1", "-c", "print('x' * 3_000_000)")
    assert (done.returncode, len(done.stdout)) == (0, 1_000_000)
    assert done.stderr.startswith("sandbox: output: it printed more than 1 MB to stdout")


def test_what_is_denied_names_the_flag_that_permits_it(cli: Cli) -> None:
    done = cli("run", "-c", "open('/usr/x', 'w')")
    assert done.returncode == 1
    assert "show it other files with --mount" in done.stderr.splitlines()[-1]


@pytest.mark.needs_namespaces
def test_learning_names_the_flags_that_would_do(cli: Cli) -> None:
    code = "import urllib.request as u\ntry: u.urlopen('http://127.0.0.2:1')\nexcept OSError as e: print(e)"
    done = cli("run", "--network", "learn", "-c", code)
    assert "403" in done.stdout
    assert "'127.0.0.2:1'" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("it has not asked for the network")  # but for what is never allowed
    done = cli("run", "--allow-host", "a.example", "-c", code.replace("127.0.0.2", "b.example"))
    assert "'b.example:1'" in done.stderr


@pytest.mark.needs_namespaces
def test_who_goes_past_the_proxy_is_told_of_it(cli: Cli) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80))"
    done = cli("run", "--allow-host", "a.example", "-c", code)
    assert done.stderr.splitlines()[-1].endswith("Let it use $HTTPS_PROXY: names are resolved by the proxy alone.")


@pytest.mark.needs_namespaces
def test_a_network_that_is_not_there_names_the_flag(cli: Cli) -> None:
    done = cli("run", "-c", "import socket; socket.create_connection(('192.0.2.1', 80))")
    assert done.stderr.splitlines()[-1].endswith(
        "Let it reach hosts with --allow-host HOST, or everything with --network host."
    )


# --- the sandbox ----------------------------------------------------------------------------------------------------


def test_variables_are_set_and_the_hosts_own_are_not_seen(cli: Cli) -> None:
    code = "import os; print(os.environ['A'], os.environ.get('SECRET'))"
    assert cli("run", "--env", "A=b=c", "--env", "B=", "-c", code, SECRET="x").stdout == "b=c None\n"


@pytest.mark.needs_namespaces
def test_a_mount_is_read_only_unless_it_is_asked_to_be_written(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "x").write_text("1")
    code = "print(open('/data/x').read())\nopen('/data/x', 'w')"
    done = cli("run", "--mount", f"{data}:/data", "-c", code)
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert "Read-only file system" in done.stderr
    assert cli("run", "--mount", f"{data}:/data:rw", "-c", "open('/data/x', 'w').write('2')").returncode == 0
    assert (data / "x").read_text() == "2"


def test_another_environment_brings_its_packages(cli: Cli, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (packages / "only_there.py").write_text("x = 'here'")
    assert cli("run", "--environment", "env", "-c", "import only_there; print(only_there.x)").stdout == "here\n"
    assert cli("run", "-c", "import only_there").returncode == 1


def test_without_uv_an_environment_of_packages_says_what_to_install(environment: dict[str, str]) -> None:
    code = "import sys; sys.modules['uv'] = None; from sandbox.cli.main import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--with", "six", "-c", "import six"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**environment, "PATH": "/nowhere"},
    )
    assert done.returncode == 3
    assert "pip install uv" in done.stderr
    assert "Traceback" not in done.stderr


def test_isolation_none_is_said(cli: Cli) -> None:
    done = cli("run", "--isolation", "none", "-c", "print(1)")
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr == "sandbox: isolation none: the code can do whatever you may do\n"


def test_verbose_shows_what_is_in_force_and_the_time(cli: Cli) -> None:
    done = cli("run", "-v", "-c", "print(1)")
    first, last = done.stderr.splitlines()
    assert first.startswith("sandbox: isolation ")
    assert "seccomp" in first
    assert last.startswith("sandbox: it took 0.")


def test_what_is_displayed_is_printed_and_the_last_value_is_not(cli: Cli) -> None:
    done = cli("run", "-c", "display(5)\ndisplay('a', [1])\n7")
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n'a'\n[1]\n", "")


def test_a_seed_makes_it_say_the_same_again(cli: Cli) -> None:
    code = "import random, time; print(random.random(), time.time())"
    once, again, other = [cli("run", "--seed", seed, "-c", code).stdout for seed in ("4", "4", "5")]
    assert once == again != other
    refused = cli("run", "--seed", "4", "--language", "javascript", "-c", "1")
    assert (refused.returncode, "only sessions in Python can be deterministic" in refused.stderr) == (2, True)
