"""A setting that does not exist is said, with the one that was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.commands.checks import examine
from infra.settings import Settings, child_environment, load_settings, unknown_settings


def test_what_means_nothing_is_named_with_what_was_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment and in the file; parts of settings, and what others read, are known."""
    file = tmp_path / "settings.toml"
    file.write_text('slots = 3\nbrokr = "amqp://x"\n')
    monkeypatch.setenv("SISYPHUS_CONFIG", str(file))
    monkeypatch.setenv("SISYPHUS_SLOT", "4")
    monkeypatch.setenv("SISYPHUS_LEASE__TTL_S", "20")
    monkeypatch.setenv("SISYPHUS_SECRETS__API", "x")
    monkeypatch.setenv("SISYPHUS_DOOR_PORT", "8080")
    monkeypatch.setenv("SISYPHUS_QQQQQQ", "1")
    assert unknown_settings() == {"SISYPHUS_SLOT": "SISYPHUS_SLOTS", "SISYPHUS_QQQQQQ": "", "brokr": "broker"}


def test_children_are_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no effect is not passed on, so one slip is one line in the log."""
    monkeypatch.setenv("SISYPHUS_SLOT", "4")
    monkeypatch.setenv("SISYPHUS_SLOTS", "5")
    environment = child_environment(load_settings())
    assert "SISYPHUS_SLOT" not in environment
    assert environment["SISYPHUS_SLOTS"] == "5"


async def test_the_doctor_sees_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a problem with a remedy; a clean environment is not mentioned."""
    monkeypatch.setenv("SISYPHUS_SLOT", "4")
    settings = Settings(data=tmp_path)
    found = [check async for check in examine(settings) if check.name == "settings"]
    assert [(check.detail, check.remedy) for check in found] == [
        ("there is no setting SISYPHUS_SLOT", "did you mean SISYPHUS_SLOTS?")
    ]
