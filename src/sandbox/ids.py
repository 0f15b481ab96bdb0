"""What a session may be called. The id names directories on the host, so it is checked by all who take one."""

import re

from sandbox.errors import UsageError

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


def checked_session_id(value: object) -> str:
    """Return the id of a session. Raises UsageError for what cannot be one."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    text = repr(value)
    shown = text if len(text) <= 80 else f"{text[:80]}..."
    raise UsageError(
        f"session_id={shown} cannot be a session's id: 1 to 128 letters, digits and any of . _ -, "
        "not beginning with . or -"
    )
