"""Runs a Streamlit script once as a visitor would have it run, and says what it raised: its server answers either way.

check_streamlit.py SECONDS FILE
"""

import importlib
import logging
import os
import sys

FAILED = 70
"""The exit code that says that the script raised something."""


def main() -> None:
    """Print what the script raises and end with FAILED. One that runs longer than SECONDS is taken to be right."""
    seconds, file = float(sys.argv[1]), os.path.abspath(sys.argv[2])
    sys.path[:1] = dict.fromkeys((os.path.dirname(file), os.getcwd()))
    # What the script raises is said below, once.
    logging.disable()
    importlib.import_module("streamlit.config").set_option("logger.enableRich", False)
    testing = importlib.import_module("streamlit.testing.v1")
    try:
        raised = list(testing.AppTest.from_file(file, default_timeout=seconds).run().exception)
    except RuntimeError as error:
        if "timed out" not in str(error):  # such as a page that goes on to refresh itself
            raise
        raised = []
    for one in raised:
        sys.stdout.write("\n".join([f"{one.proto.type}: {one.message}", *one.stack_trace, ""]))
    sys.stdout.flush()
    os._exit(FAILED if raised else 0)  # the script's thread may never end


if __name__ == "__main__":
    main()
