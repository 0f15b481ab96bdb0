"""The host's environment variables stay on the host."""

import os

from .policy import LEVELS, NONE, Restriction

RESTRICTION = Restriction(
    "environment",
    because="API keys and tokens are passed in environment variables",
    breaks="programs that rely on a variable of the host: name it with env=",
    proof="tests/security/test_environment.py::test_a_worker_does_not_see_the_host_environment",
    levels=(*LEVELS, NONE),
)


def replace(variables: dict[str, str]) -> None:
    """Make `variables` the whole environment."""
    os.environ.clear()
    os.environ.update(variables)
