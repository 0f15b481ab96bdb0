"""Animations as they are stored with their execution, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sandbox.protocol.messages import AnimationInfo, ArtifactInfo


def written(animations: Iterable[AnimationInfo]) -> list[dict[str, Any]]:
    """The form in the store: artifacts by their ids."""
    return [_written(one) for one in animations]


def _written(one: AnimationInfo) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(one)
    return {**plain, "artifact": one.artifact.id, "thumbnail": one.thumbnail and one.thumbnail.id}


def read(stored: Iterable[Any], artifacts: Mapping[str, ArtifactInfo]) -> list[AnimationInfo]:
    """Those whose artifact is there still. What does not read as an animation is passed over."""
    return [found for one in stored if (found := _read(one, artifacts)) is not None]


def _read(one: Any, artifacts: Mapping[str, ArtifactInfo]) -> AnimationInfo | None:
    if not isinstance(one, dict) or one.get("artifact") not in artifacts:
        return None
    thumbnail = artifacts.get(one.get("thumbnail") or "")
    plain = {**one, "artifact": artifacts[one["artifact"]], "thumbnail": thumbnail}
    try:
        return msgspec.convert(plain, AnimationInfo)
    except msgspec.ValidationError:
        return None
