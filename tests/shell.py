"""`sandbox shell` as whoever sits in front of it has it: on a pseudo-terminal."""

from __future__ import annotations

import sys

import pexpect

_SECONDS = 50.0
_FOREIGN_SHELLS = ("BASH_ENV", "ENV", "PS1", "PROMPT_COMMAND")


class Seat:
    """A shell on this machine's own terminal, which runs one `sandbox shell` and says afterwards how it was left."""

    def __init__(self, environment: dict[str, str], *arguments: str, columns: int = 100) -> None:
        settings = {name: value for name, value in environment.items() if name not in {"COLUMNS", *_FOREIGN_SHELLS}}
        # Not a part of what is typed, which is shown too.
        script = '"$@"; echo "left:$?"; stty -a | grep -o -e "[-]*icanon" -e "[-]*echo "; echo over'
        self.child = pexpect.spawn(
            "/bin/sh", ["-c", script, "sh", sys.executable, "-m", "sandbox", "shell", *arguments],
            env={**settings, "TERM": "xterm"}, dimensions=(30, columns), timeout=_SECONDS, encoding="utf-8",
            codec_errors="replace",
        )  # fmt: skip

    def enter(self, text: str) -> None:
        """Type a line."""
        self.child.send(f"{text}\r")

    def sees(self, pattern: str) -> str:
        """Wait until it is shown; what came before it."""
        self.child.expect(pattern)
        return self.child.before or ""

    def left(self) -> int:
        """Wait for the end. The exit code; the terminal has to be as it was before."""
        self.child.expect(r"left:(\d+)")
        code = int(self.child.match.group(1))
        after = self.sees("over")
        assert " ".join(after.split()) == "icanon echo", after
        return code

    def close(self) -> None:
        """End what still runs."""
        self.child.close(force=True)
