"""The speech engines by name, and the two shapes that an engine has.

Adding one is one file with a factory and one line here. A factory loads what all sessions share; it may
take seconds, and must not block the event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from infra.errors import ConfigurationError
from voice.services.hearing import Hints

#: name -> "module:factory".
STT_ENGINES: Mapping[str, str] = {"whisper": "voice.services.whisper_engine:open_whisper"}
TTS_ENGINES: Mapping[str, str] = {"piper": "voice.services.piper_engine:open_piper"}


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """What the engines need to know.

    Attributes:
        models_dir: `<data>/models`: joined weights, their proofs, the sentence cache.
        weights: the folder that SISYPHUS_MODELS names, looked at first; None without it.
        stt: name of the recogniser.
        tts: name of the voice.
        fixed_sentences: spoken often, so their sound is made beforehand; "Okay." makes every
            sentence that opens with "Okay," begin at once.
        look_deadline_s: the longest wait for one look at a stretch of sound.
    """

    models_dir: Path
    weights: Path | None = None
    stt: str = "whisper"
    tts: str = "piper"
    fixed_sentences: tuple[str, ...] = field(default=("Okay.",))
    look_deadline_s: float = 6.0


class SttEngine(Protocol):
    """A recogniser, loaded."""

    def make(self, hints: Hints) -> STTService:
        """Return the service of a new session; it may look to `hints` for words."""
        ...

    def problem(self) -> str:
        """Return why it cannot hear now, or an empty string."""
        ...

    async def close(self) -> None:
        """Let everything go. Safe to call twice."""
        ...


class TtsEngine(Protocol):
    """A voice, loaded."""

    def make(self) -> TTSService:
        """Return the service of a new session."""
        ...

    def problem(self) -> str:
        """Return why it cannot speak now, or an empty string."""
        ...

    async def close(self) -> None:
        """Let everything go. Safe to call twice."""
        ...


async def open_stt(settings: SpeechSettings) -> SttEngine:
    """Load the recogniser that the settings name.

    Raises:
        ConfigurationError: unknown name, a package that is not installed, or weights that are missing.
    """
    factory = _factory("recogniser", STT_ENGINES, settings.stt)
    return await cast("Callable[[SpeechSettings], Awaitable[SttEngine]]", factory)(settings)


async def open_tts(settings: SpeechSettings) -> TtsEngine:
    """Load the voice that the settings name.

    Raises:
        ConfigurationError: unknown name, a package that is not installed, or weights that are missing.
    """
    factory = _factory("voice", TTS_ENGINES, settings.tts)
    return await cast("Callable[[SpeechSettings], Awaitable[TtsEngine]]", factory)(settings)


def _factory(kind: str, table: Mapping[str, str], name: str) -> object:
    if name not in table:
        raise ConfigurationError(f"There is no {kind} {name!r}; known are {', '.join(sorted(table))}.")
    module, _, factory = table[name].partition(":")
    return getattr(import_module(module), factory)
