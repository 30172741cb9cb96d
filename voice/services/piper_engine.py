"""Starts the voice process that all sessions share, fills the sentence cache, makes each session's voice."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

from infra.errors import ConfigurationError
from voice.services.piper import PiperTTS
from voice.services.piper_client import PiperClient, voice_command
from voice.services.registry import SpeechSettings
from voice.services.sentence_cache import SentenceCache
from voice.services.weight_pins import JOE
from voice.services.weights import Weights

#: CPU threads of the voice: the second one halves the wait for a sentence's first sound.
_THREADS = 2


class PiperEngine:
    """The voice process, running, and the sentences whose sound is at hand."""

    def __init__(self, client: PiperClient, cache: SentenceCache) -> None:
        self.client = client
        self._cache = cache

    def make(self) -> PiperTTS:
        """Return the voice of a new session."""
        return PiperTTS(self.client, self._cache)

    def problem(self) -> str:
        """Return why it cannot speak now, or an empty string."""
        return "" if self.client.is_ready else self.client.reason

    async def close(self) -> None:
        """End the voice process. Safe to call twice."""
        await self.client.close()


async def open_piper(settings: SpeechSettings) -> PiperEngine:
    """Start the voice and make the fixed sentences' sound; two to five seconds, the first time longer.

    Raises:
        WeightsMissing: the voice is nowhere.
        WeightsCorrupt: a file is not the pinned one.
        ConfigurationError: the package piper-tts is not installed.
        SpeechBusy: the voice process does not become ready.
    """
    if importlib.util.find_spec("piper") is None:
        raise ConfigurationError(
            "Speaking offline needs the package 'piper-tts' (GPL-3.0-or-later, run as a process of its own); "
            "install it with: pip install 'sisyphus-cluster[piper]'"
        )
    folder = await asyncio.to_thread(_place_voice, settings)
    client = PiperClient(voice_command(folder / JOE.files[0].name, _THREADS))
    cache = SentenceCache(settings.models_dir / "cache", JOE.files[0].sha256)
    try:
        await client.start()
        await cache.prepare(settings.fixed_sentences, client.speak)
    except BaseException:
        await client.close()
        raise
    return PiperEngine(client, cache)


def _place_voice(settings: SpeechSettings) -> Path:
    weights = Weights(settings.models_dir, settings.weights)
    weights.install(models=(JOE,))
    return weights.find(JOE)
