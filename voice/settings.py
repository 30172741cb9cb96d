"""What the voice front end takes from the settings of the system."""

from __future__ import annotations

from pathlib import Path

from infra.settings import Settings
from voice.bot.replies import FIXED_SENTENCES
from voice.services.registry import SpeechSettings

#: The page as it was built; absent until `npm run build` ran in voice/web.
PAGE = Path(__file__).resolve().parent / "web" / "dist"
#: Seconds that a new call waits for the speech engines when the server has only just started.
SPEECH_WAIT_S = 4.0


def speech_settings(settings: Settings) -> SpeechSettings:
    """What the speech engines need."""
    return SpeechSettings(models_dir=settings.data / "models", weights=settings.models, fixed_sentences=FIXED_SENTENCES)
