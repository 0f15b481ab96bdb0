"""The tools as clients are told of them, kept in a file: `python -m tests.mcp.golden` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.mcp.tools import TOOLS

FILE = Path(__file__).with_name("tools.json")


def told() -> list[dict[str, Any]]:
    """What `tools/list` answers."""
    return [tool.listed().model_dump(by_alias=True, mode="json", exclude_none=True) for tool in TOOLS]


if __name__ == "__main__":
    FILE.write_text(json.dumps(told(), indent=1) + "\n", encoding="utf-8")
