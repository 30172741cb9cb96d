"""The settings file and wrong settings: what is named must be there, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import ConfigurationError
from infra.settings import load_settings


def test_the_file_gives_what_the_environment_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables win over the file, the file over the defaults."""
    file = tmp_path / "sisyphus.toml"
    file.write_text('port = 9001\nhost = "::1"\n')
    monkeypatch.setenv("SISYPHUS_CONFIG", str(file))
    monkeypatch.setenv("SISYPHUS_PORT", "9002")
    settings = load_settings()
    assert (settings.port, settings.host) == (9002, "::1")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), ("port = [", "is not TOML: "), (Path(), "cannot be read: Is a directory")],
)
def test_a_file_that_cannot_be_used_is_no_reason_for_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | Path | None, said: str
) -> None:
    """A path that was mistyped must not start another system than the one that was meant."""
    file = tmp_path / "sisyphus.toml"
    if isinstance(content, Path):
        file.mkdir()
    elif content is not None:
        file.write_text(content)
    monkeypatch.setenv("SISYPHUS_CONFIG", str(file))
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert f"SISYPHUS_CONFIG: {file} {said}" in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LEASE", "x", "SISYPHUS_LEASE: must be a JSON object; its parts can be given alone, as SISYPHUS_LEASE__PART"),
        ("LEASE__TTL_S", "1", "SISYPHUS_LEASE: lease terms need"),
        ("PORT", "x", "SISYPHUS_PORT: "),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """No message speaks of the validator's own things."""
    monkeypatch.setenv(f"SISYPHUS_{name}", value)
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert str(error.value).startswith(said)
    assert "Value error" not in str(error.value)
