"""A process that goes on with a session of the demo's, for the demo to kill in the middle of an execution."""

from __future__ import annotations

import sys

from sandbox.sync import LocalSandbox

FINISHED = """
airports["lonely"] = airports["km"] > 100
with open("lonely.txt", "w") as file:
    print(*airports.loc[airports["lonely"], "iata"], file=file)
"""
HALF_DONE = """
airports.drop(airports.index, inplace=True)
open("lonely.txt", "w").close()
print("half done")
while True: pass
"""


def say(text: str) -> None:
    """Tell the demo."""
    print(text, end="", flush=True)


def main() -> None:
    """Finish one execution, begin another, and never come to its end."""
    with LocalSandbox(session_id=sys.argv[1]) as box:
        say(f"execution {box.run(FINISHED).number} is finished\n")
        box.run(HALF_DONE, on_stdout=say)


if __name__ == "__main__":
    main()
