"""Lists in the environment are written as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import ConfigurationError
from infra.settings import load_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/templates", ["/a/templates"]),
        ("/a/one, /a/two,", ["/a/one", "/a/two"]),
        ('["/a/with, comma", "/b"]', ["/a/with, comma", "/b"]),
        ("", []),
    ],
)
def test_a_list_is_written_with_commas_or_as_json(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: list[str]
) -> None:
    """One path, several between commas, and a JSON list all name template folders."""
    monkeypatch.setenv("SISYPHUS_TEMPLATES", text)
    assert load_settings().templates == tuple(Path(x) for x in expected)


def test_a_broken_json_list_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and both forms."""
    monkeypatch.setenv("SISYPHUS_IMAGES", '["alpine:*"')
    with pytest.raises(ConfigurationError, match=r"SISYPHUS_IMAGES: .*between commas nor a JSON list"):
        load_settings()
