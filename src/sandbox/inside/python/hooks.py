"""Changes to libraries at the moment a session imports them, so that their `show()` ends up as a result."""

from .display import Display


def install(display: Display) -> None:
    """Nothing is imported here: a hook runs when, and only when, user code imports its library."""
