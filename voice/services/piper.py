"""Text to speech in the pipeline: Pipecat's service over the voice process and the sentence cache.

Speech leaves sentence by sentence. A sentence that is cut off by the death of the voice process before
its first sound is asked for once more; one that has begun is not, since half of it would be said twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, cast

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from infra.log import get_logger
from voice.services.errors import SpeechError, VoiceDied
from voice.services.piper_client import PiperClient
from voice.services.sentence_cache import SentenceCache
from voice.services.sentences import lead_in, split_sentences

_log = get_logger("voice.services.piper")

#: Seconds of silence where a sentence has no sound.
_BREATH_S = 0.02
#: Seconds without sound after which Pipecat takes a sentence for ended.
_LATE_S = 15.0


class PiperTTS(TTSService):
    """The voice of one session; the process and the cache behind it are shared by all sessions.

    Args:
        client: the voice process.
        cache: the sentences whose sound is at hand.
    """

    def __init__(self, client: PiperClient, cache: SentenceCache) -> None:
        # Pipecat leaves its keyword arguments untyped.
        cast("Any", super()).__init__(
            push_start_frame=True,
            push_stop_frames=True,
            # The voice process comes back by itself, so no number of silent sentences is final.
            max_consecutive_zero_audio_contexts=0,
            # A sentence ends with its sound; on a busy machine the next piece of it may take seconds.
            stop_frame_timeout_s=_LATE_S,
            settings=TTSSettings(model="piper", voice="joe", language=None),
        )
        self._client = client
        self._cache = cache

    def can_generate_metrics(self) -> bool:
        """Time to the first sound is measured."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Yield the sound of a text; a voice that fails yields one error and no exception."""
        if not split_sentences(text):
            yield self._breath(context_id)
            return
        try:
            async for frame in self._stream_audio_frames_from_iterator(
                self._sound(text), in_sample_rate=self._client.rate_hz, context_id=context_id
            ):
                await self.stop_ttfb_metrics()
                yield frame
        except SpeechError as error:
            _log.warning("not_spoken", reason=str(error))
            yield ErrorFrame(error=str(error))
            yield self._breath(context_id)

    def _breath(self, context_id: str) -> TTSAudioRawFrame:
        """A moment of silence: without any audio the pipeline would wait three seconds for the rest."""
        return TTSAudioRawFrame(
            bytes(2 * int(self.sample_rate * _BREATH_S)), self.sample_rate, 1, context_id=context_id
        )

    async def _sound(self, text: str) -> AsyncGenerator[bytes, None]:
        for sentence in split_sentences(text):
            for piece in lead_in(sentence, self._cache):
                cached = self._cache.get(piece)
                if cached is not None:
                    yield cached
                    continue
                async for sound in self._speak(piece):
                    yield sound

    async def _speak(self, piece: str) -> AsyncGenerator[bytes, None]:
        has_begun = False
        try:
            async for sound in self._client.speak(piece):
                has_begun = True
                yield sound
        except VoiceDied:
            if has_begun:
                raise
            async for sound in self._client.speak(piece):
                yield sound
