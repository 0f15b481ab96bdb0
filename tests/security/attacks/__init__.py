"""What hostile code tries. Runs inside: the standard library only, and nothing of the tests but this package.

Each attack is a function that returns what it learned, or raises the OSError that it met. Its name is enough to
find it, in whichever file it is.
"""

from __future__ import annotations

import errno
import json
import sys
from typing import Any


def outcome(name: str, arguments: str) -> str:
    """Run the attack `name`; return what came of it as JSON."""
    try:
        value = find(name)(*json.loads(arguments))
    except OSError as error:
        return json.dumps({"value": None, "error": name_of(error)})
    return json.dumps({"value": value, "error": ""})


def name_of(error: OSError) -> str:
    """The name of its errno, or of its class where it has none."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def find(name: str) -> Any:
    """The attack of this name."""
    for module in [module for path, module in sys.modules.items() if path.startswith(f"{__name__}.")]:
        if name in vars(module):
            return vars(module)[name]
    raise AttributeError(f"there is no attack {name!r}")


__getattr__ = find
