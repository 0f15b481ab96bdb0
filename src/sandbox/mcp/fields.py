"""Fields that several tools have: the same words for the same thing."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, UnsetType

SessionId = Annotated[
    str,
    Meta(
        description=(
            "Which session to use. Leave it out for your own default session, which is the same in every call and "
            "after a restart. A new name begins an empty session."
        ),
    ),
]
AnsweredSession = Annotated[str, Meta(description="The session that was used; pass it as session_id to use it again.")]
Timeout = (
    Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description=(
                "Seconds until it is stopped: 30, unless the server was told otherwise. Many clients give up on a "
                "call after 60 s: for longer work use start_job."
            ),
        ),
    ]
    | UnsetType
)
