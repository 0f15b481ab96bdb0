"""Runs a web app's file as `python app.py` would, and has it serve on the loopback's port that the engine chose.

    launch.py KIND PORT FILE

The code may start its server by itself or not, within `if __name__ == "__main__":` or outside of it, on whatever port.
Runs in the sandbox and is as little trusted as the app.
"""

import importlib
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

MISSING = 69
"""The exit code that says that the framework is not installed."""

HOST = "127.0.0.1"
_STREAMLIT = (
    "--server.address=127.0.0.1", "--server.headless=true", "--server.fileWatcherType=none",
    "--browser.gatherUsageStats=false", "--global.developmentMode=false",
)  # fmt: skip


class App:
    """The user's file, as module `__main__`."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.module = types.ModuleType("__main__")
        self.module.__file__ = self.path

    def run(self) -> None:
        """Run it. An exception that it raises is printed as Python would, and ends this process."""
        sys.modules["__main__"] = self.module
        try:
            exec(self.compiled(), self.module.__dict__)  # noqa: S102
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001
            # Without this file's own frame.
            traceback.print_exception(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
            raise SystemExit(1) from None

    def compiled(self) -> types.CodeType:
        """Its code. Ends this process where it is no Python."""
        try:
            with open(self.path, "rb") as file:
                return compile(file.read(), self.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, OSError) as error:
            traceback.print_exception(type(error), error, None)
            raise SystemExit(1) from None

    def find(self, kind: type, names: "tuple[str, ...]" = ("app", "application", "server", "demo")) -> Any:
        """The object of a class among its global names: by a usual name, or the only one there is."""
        found = {name: value for name, value in vars(self.module).items() if isinstance(value, kind)}
        for name in names:
            if name in found:
                return found[name]
        several = list({id(value): value for value in found.values()}.values())
        if len(several) == 1:
            return several[0]
        for name in ("create_app", "make_app"):
            factory = vars(self.module).get(name)
            if callable(factory) and isinstance(made := factory(), kind):
                return made
        what = f"{len(several)} objects" if several else "no object"
        return _stop(
            f"the code has {what} of the class {kind.__name__}: name the app `app`, or start its server in the code"
        )


def flask(app: App, port: int) -> None:
    """Flask's own server, with a thread for each request."""
    module = _needed("flask")
    _without_colours()
    run = module.Flask.run

    def served(self: Any, *_where: Any, **_options: Any) -> None:
        run(self, HOST, port, debug=False, load_dotenv=False, threaded=True, use_reloader=False)

    module.Flask.run = served
    app.run()
    app.find(module.Flask).run()


def fastapi(app: App, port: int) -> None:
    """Uvicorn, whichever way the code starts it; any ASGI app of Starlette's classes will do."""
    _needed("fastapi")
    uvicorn = _needed("uvicorn")
    make = uvicorn.Config.__init__

    def made(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **{**options, "reload": False, "workers": 1})
        self.host, self.port, self.uds, self.fd = HOST, port, None, None

    uvicorn.Config.__init__ = made
    app.run()
    uvicorn.run(app.find(importlib.import_module("starlette.applications").Starlette))


def dash(app: App, port: int) -> None:
    """The server of Flask that Dash brings."""
    module = _needed("dash")
    _without_colours()
    run = module.Dash.run

    def served(self: Any, *_where: Any, **_options: Any) -> None:
        run(self, host=HOST, port=port, debug=False)

    module.Dash.run = served
    app.run()
    app.find(module.Dash).run()


def gradio(app: App, port: int) -> None:
    """Gradio's server, without what it would ask of the internet."""
    module = _needed("gradio")
    launch = module.Blocks.launch

    def launched(self: Any, *_args: Any, **options: Any) -> Any:
        ours = {"server_name": HOST, "server_port": port, "share": False, "inbrowser": False, "quiet": True}
        return launch(self, **{**options, **ours, "prevent_thread_lock": False})

    module.Blocks.launch = launched
    app.run()
    app.find(module.Blocks).launch()


def streamlit(app: App, port: int) -> None:
    """Streamlit's server, which runs the file anew for everybody who looks at it."""
    _needed("streamlit")
    app.compiled()
    sys.argv = ["streamlit", "run", app.path, f"--server.port={port}", *_STREAMLIT]
    importlib.import_module("streamlit.web.cli").main()


KINDS: "dict[str, Callable[[App, int], None]]" = {
    "flask": flask, "fastapi": fastapi, "dash": dash, "gradio": gradio, "streamlit": streamlit,
}  # fmt: skip


def _needed(name: str) -> Any:
    """Import a framework. Ends this process with MISSING if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        _stop(f"{name} is not installed", MISSING)


def _without_colours() -> None:
    """Those of Flask's server are for terminals."""
    vars(importlib.import_module("werkzeug.serving"))["_log_add_style"] = False


def _stop(why: str, code: int = 1) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    raise SystemExit(code)


def _places(file: str) -> "Iterator[str]":
    """Where the app's own modules are: beside its file, and in the directory that it runs in."""
    yield os.path.dirname(os.path.abspath(file))
    yield os.getcwd()


def main() -> None:
    """See the head of this file."""
    kind, port, file = sys.argv[1:4]
    sys.path[:1] = dict.fromkeys(_places(file))
    sys.argv = [file]
    KINDS[kind](App(file), int(port))


if __name__ == "__main__":
    main()
