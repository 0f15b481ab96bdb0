"""What hostile code tries. Runs inside, as a package `attacks`: the standard library, and nothing of ours but this.

Each attack is a function that returns what it learned or reached, nothing being a failure too, or raises the OSError
that it met. Its name is enough to find it, in whichever file it is. No file here is imported on the host.
"""

from __future__ import annotations

import errno
import json
import sys
from typing import Any


class Stopped(OSError):
    """An attack that was stopped by something that is no errno, such as a signal."""


def outcome(name: str, arguments: str) -> str:
    """Run the attack `name`; return what came of it as JSON."""
    try:
        value = find(name)(*json.loads(arguments))
    except OSError as error:
        return json.dumps({"value": None, "error": name_of(error)})
    return json.dumps({"value": value, "error": ""})


def name_of(error: OSError) -> str:
    """The name of its errno, or what it says, or the name of its class where it has neither."""
    if isinstance(error, Stopped):
        return str(error)
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def find(name: str) -> Any:
    """The attack of this name."""
    for module in [module for path, module in sys.modules.items() if path.startswith(f"{__name__}.")]:
        if name in vars(module):
            return vars(module)[name]
    raise AttributeError(f"there is no attack {name!r}")


__getattr__ = find
