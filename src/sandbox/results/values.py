"""What code showed and made: results and artifacts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.protocol import messages as m
from sandbox.results.shown import brief


@dataclass(frozen=True)
class Result:
    """A displayed value: its representations by MIME type, text as str, images as bytes, JSON as objects.

    `chart` has a figure's data: its type, title, axes and series.
    """

    data: dict[str, Any]
    main: bool = False
    chart: dict[str, Any] | None = None

    def __getitem__(self, mime: str) -> Any:
        return self.data[mime]

    def __contains__(self, mime: str) -> bool:
        return mime in self.data

    def __repr__(self) -> str:
        """Small values as they are, of others the size: an image has no place in a log."""
        shown = ", ".join(f"{mime}: {brief(value)}" for mime, value in self.data.items())
        return f"Result({shown}{', main' if self.main else ''}{', chart' if self.chart is not None else ''})"

    @property
    def text(self) -> str | None:
        """Its plain text."""
        return self.data.get("text/plain")

    @property
    def html(self) -> str | None:
        """Its HTML."""
        return self.data.get("text/html")

    @property
    def png(self) -> bytes | None:
        """Its PNG image."""
        return self.data.get("image/png")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return self.data


@dataclass(frozen=True)
class Artifact:
    """A file or figure that an execution produced. Usable as a path; the bytes are read only on `read`."""

    id: str
    name: str
    path: Path
    mime: str
    size: int
    sha256: str
    created_at: datetime
    execution: int

    @classmethod
    def of(cls, info: m.ArtifactInfo) -> Artifact:
        """Build one from the wire's form."""
        created = datetime.fromtimestamp(info.created_at, UTC)
        return cls(info.id, info.name, Path(info.path), info.mime, info.size, info.sha256, created, info.execution)

    def read(self) -> bytes:
        """Return its bytes. Raises FileNotFoundError if the session was deleted."""
        return self.path.read_bytes()

    async def aread(self) -> bytes:
        """Return its bytes without blocking the event loop."""
        import asyncio  # noqa: PLC0415 - importing this package must not cost asyncio

        return await asyncio.to_thread(self.read)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def as_dict(self) -> dict[str, Any]:
        """Return its description as plain values."""
        return {
            "id": self.id,
            "name": self.name,
            "path": str(self.path),
            "mime": self.mime,
            "size": self.size,
            "sha256": self.sha256,
            "created_at": self.created_at.isoformat(),
            "execution": self.execution,
        }
