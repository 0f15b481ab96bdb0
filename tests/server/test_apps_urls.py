"""What a url of an app says, and for how long it is good."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sandbox import UsageError
from sandbox.server.apps import urls
from sandbox.server.apps.urls import HALF_SECONDS, Pattern, Urls, load_key

_APP = os.urandom(10).hex()


def _at(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(urls.time, "time", lambda: now)  # type: ignore[attr-defined]


def test_a_url_stays_for_half_of_its_time_and_is_good_for_at_least_as_long_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, signer = 1_900_000_000.0, Urls(Pattern.parse("http://*.localhost:5555"), os.urandom(32))

    def label(now: float) -> str:
        _at(monkeypatch, now)
        return signer.make(_APP, begun).removeprefix("http://").split(".")[0]

    first = label(begun)
    assert label(begun + HALF_SECONDS - 1) == first != label(begun + HALF_SECONDS)
    for later, good in ((0, True), (2 * HALF_SECONDS - 1, True), (2 * HALF_SECONDS, False)):
        _at(monkeypatch, begun + later)
        found = signer.read(first)
        assert (found is not None) == good
        assert found is None or (found.app, found.until) == (_APP, begun + 2 * HALF_SECONDS)


def test_only_the_same_key_makes_good_urls() -> None:
    pattern = Pattern.parse("http://*.localhost:5555")
    one, other = Urls(pattern, os.urandom(32)), Urls(pattern, os.urandom(32))
    label = one.make(_APP, time.time()).removeprefix("http://").split(".")[0]
    assert one.read(label) is not None
    assert other.read(label) is None


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "apps.key"
    first = load_key(path)
    assert (len(first), path.stat().st_mode & 0o777, load_key(path)) == (32, 0o600, first)
    path.write_bytes(first[:5])  # a disk was full
    assert len(load_key(path)) == 32


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("abc.apps.example.com", "abc"), ("abc.apps.example.com:8443", "abc"), ("ABC.Apps.Example.com", "abc"),
        ("apps.example.com", None), ("example.com", None), ("a.b.apps.example.com", None), ("", None),
        ("abc.apps.example.com.", None), ("abcapps.example.com", None), (".apps.example.com", ""),
    ],
)  # fmt: skip
def test_an_apps_name_is_one_label_below_the_domain(host: str, label: str | None) -> None:
    assert Pattern.parse("https://*.apps.example.com").label(host) == label


@pytest.mark.parametrize(
    "text",
    ["https://apps.example.com", "*.example.com", "ftp://*.x.y", "https://*.x.y/z", "https://*.*.y", "http://*.", "",
     f"https://*.{'a' * 240}"],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a pattern of names for apps"):
        Pattern.parse(text)
