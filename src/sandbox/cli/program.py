"""What to run: a script, the code of `-c`, or standard input; and how Python would call it."""

from __future__ import annotations

import io
import json
import os
from typing import NamedTuple

from sandbox.errors import UsageError

# What the interpreter does at its end: waits for threads that are no daemons, then calls what atexit holds.
EPILOGUE = """\
def _end():
    import atexit, sys
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
_end()
"""


# What Node does: it waits until nothing is left that could call back, then tells whoever listens.
NODE_EPILOGUE = """\
await new Promise((end) => {
  const nothing = () => process.getActiveResourcesInfo().every((kind) => kind === 'PipeWrap');
  // Not in the timer's own callback, where it is one that is left.
  const look = () => (nothing() ? end() : setTimeout(() => setImmediate(look), 5));
  look();
});
process.emit('exit', process.exitCode ?? 0);
undefined;
"""


class Program(NamedTuple):
    """Code with the name and the arguments that it would have under Python.

    `script` is its content and `file` its name in the workspace, where it lies beside the files that it reads.
    """

    code: str
    name: str
    argv: list[str]
    file: str | None = None
    script: bytes = b""
    node: bool = False

    @property
    def epilogue(self) -> str:
        """Code for what the interpreter does at its end."""
        return NODE_EPILOGUE if self.node else EPILOGUE

    @property
    def is_bare(self) -> bool:
        """Whether it is code alone, without a file and arguments of its own."""
        return self.file is None and len(self.argv) == 1

    @property
    def prelude(self) -> str:
        """Code that sets `sys.argv` and `__file__`, or Node's names for them, and leaves nothing else behind."""
        if self.node:
            path = f"require('path').resolve({json.dumps(self.file or '[eval]')})"
            argv = f"process.argv = [process.argv[0], {path}, ...{json.dumps(self.argv[1:])}];"
            return f"{argv} __filename = process.argv[1]; undefined"
        file = f"; __file__ = __import__('os').path.abspath({self.file!r})" if self.file is not None else ""
        return f"__import__('sys').argv = {self.argv!r}{file}"


def read_program(code: str | None, rest: list[str]) -> Program:
    """Return what `-c code` and the positional arguments ask for. Raises UsageError."""
    if rest[:1] == ["--"]:
        rest = rest[1:]
    if code is not None:
        return Program(code, "<string>", ["-c", *rest])
    if not rest:
        raise UsageError("nothing to run: give a script, -c CODE, or - for standard input. See `sandbox run --help`")
    if rest[0] == "-":
        return Program(_decode(_standard_input(), "<stdin>"), "<stdin>", rest)
    return _script(rest[0], rest)


def _standard_input() -> bytes:
    with open(0, "rb", closefd=False) as file:
        return file.read()


def _script(path: str, argv: list[str]) -> Program:
    if os.path.isdir(path):
        raise UsageError(f"{path!r} is a directory: give a script, and bring the others with --file or --mount")
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UsageError(f"can't open {path!r}: {error.strerror}") from error
    return Program(_decode(content, path), path, argv, os.path.basename(path), content)


def _decode(content: bytes, name: str) -> str:
    """Decode source text as Python does: UTF-8, or what its first two lines declare."""
    encoding = "utf-8-sig"
    try:
        if b"coding" in b"".join(content.split(b"\n", 2)[:2]):
            import tokenize  # noqa: PLC0415 - few sources declare an encoding

            encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UsageError(f"{name!r} is not text that Python could read: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
