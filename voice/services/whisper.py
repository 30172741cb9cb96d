"""Speech to text in the pipeline: Pipecat's segmented service over the two Whisper models.

Each segment between two pauses is looked at by the small model, from the first moments of the pause on. The
transcription's `result` is a `Hearing` for the whole turn so far; the better model looks only when somebody asks the
hearing to. Silence and noise yield `NothingHeardFrame`, never a text.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, cast

from pipecat.frames.frames import Frame, InputAudioRawFrame, TranscriptionFrame, UserStoppedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.utils.time import time_now_iso8601

from voice.services.hearing import (
    MAX_TURN_BYTES,
    Hearing,
    Hints,
    Look,
    NothingHeardFrame,
    TurnSound,
    Weight,
    with_joined,
)
from voice.services.lookahead import Guess, Lookahead
from voice.services.whisper_model import Listener

#: Seconds from the end of speech to its transcript that are not exceeded in 99 of 100 cases; the turn
#: strategy waits this long for a transcript that is still on its way.
_P99_S = 0.9
#: How fast the sound is played when it is looked at further. Of 118 requests that two looks did not tell, these three
#: together wrote 65 as something that was understood, the best of them alone 46, and the same without requests in the
#: hint some 20.
FURTHER_TEMPOS = (1.0, 0.85, 1.08)


class _TwoModels:
    """Sketches with the small model, looks again and weighs with the better one.

    Args:
        first: the small model.
        second: the better one.
        hints: what it should know.
        decoded: the sound as the small model has decoded it, which is encoded already: without the silence behind it.
    """

    def __init__(self, first: Listener, second: Listener, hints: Hints, decoded: bytes) -> None:
        self._first, self._second, self._hints, self._decoded = first, second, hints, decoded

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        # Among thousands of names the search takes a tenth of a second.
        hint = await asyncio.to_thread(self._hints, heard)
        return await self._second.look(pcm, hint.names)

    async def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
        hint = await asyncio.to_thread(self._hints, heard)
        for tempo in FURTHER_TEMPOS:
            yield await self._second.look(pcm, hint.requests, tempo)

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        return await self._first.weigh(self._decoded, texts)

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        return await self._second.weigh(pcm, texts)


class WhisperSTT(SegmentedSTTService):
    """The recogniser of one session; the models behind it are shared by all sessions.

    Args:
        first: the small model, asked for every segment.
        second: the better model, asked by `Hearing.second_look`.
        hints: what the better model should know. The small one is not told: it would hear it in a cough.
    """

    def __init__(self, first: Listener, second: Listener, hints: Hints) -> None:
        # Pipecat leaves its keyword arguments untyped.
        cast("Any", super()).__init__(
            # The window is silent behind the sound anyway.
            trailing_silence_secs=0.0,
            ttfs_p99_latency=_P99_S,
            settings=STTSettings(model="whisper", language=None),
        )
        self._first, self._second, self._hints = first, second, hints
        self._ahead = Lookahead(first)
        self._turn = TurnSound()

    @property
    def wants_wav_segments(self) -> bool:
        """Raw PCM16 is what the models take."""
        return False

    def can_generate_metrics(self) -> bool:
        """Time per segment is measured."""
        return True

    def silence_began(self) -> None:
        """The voice has fallen silent, perhaps for good."""
        if self._user_speaking:
            self._ahead.begin(bytes(self._audio_buffer), self._turn.pcm() or b"")

    def silence_broken(self) -> None:
        """The voice goes on."""
        self._ahead.drop()

    async def cleanup(self) -> None:
        """Let nothing outlive the session."""
        await super().cleanup()
        self._ahead.drop()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Begin a new turn's sound when the old turn is over."""
        await super().process_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame):
            self._turn = TurnSound()

    async def process_audio_frame(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        """Keep the segment under the most that is decoded at once."""
        await super().process_audio_frame(frame, direction)
        excess = len(self._audio_buffer) - MAX_TURN_BYTES
        if excess > 0:
            del self._audio_buffer[: excess + excess % 2]

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Yield the transcription of one segment, or the news that nothing was said in it."""
        await self.start_processing_metrics()
        ahead = self._ahead.claim(audio)
        try:
            look = await ahead.look(ahead.segment)
            if look is None or not look.hypotheses:
                yield NothingHeardFrame()
            else:
                hearing = await self._hear_turn(audio, ahead, look)
                yield TranscriptionFrame(look.text, self._user_id, time_now_iso8601(), result=hearing)
        finally:
            ahead.drop()
        await self.stop_processing_metrics()

    async def _hear_turn(self, segment: bytes, ahead: Guess, look: Look) -> Hearing:
        turn = self._turn
        before = turn.pcm() or b""
        number = turn.add(segment, look)
        pcm = turn.pcm()
        decoded = before + ahead.segment
        if turn.is_split:
            # The words on both sides of a pause help each other; only together are they the command.
            whole = await ahead.look(decoded) if pcm else None
            look = with_joined(whole or Look((), look.no_speech_prob), turn.joined())
        # The better model hears all of it: an unvoiced end may have been taken for silence.
        ears = _TwoModels(self._first, self._second, self._hints, decoded)
        return Hearing(look, pcm, ears, on_discard=lambda: turn.drop(number))
