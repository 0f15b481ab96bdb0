"""Reads the chart of a specification for a process that is not Python: a worker that is Node runs this as a program.

The specification is on standard input and its chart, or null, goes to standard output. The argument says whose the
specification is.
"""

import json
import sys

from . import of_altair, of_plotly

_READERS = {"plotly": of_plotly, "vega-lite": of_altair}


def main(whose: str) -> None:
    try:
        specification = json.load(sys.stdin.buffer)
    except RecursionError:
        chart = None
    else:
        chart = _READERS[whose](specification)
    json.dump(chart, sys.stdout)
