"""The one pipeline of every call, whatever the transport: WebRTC, WebSocket or a WAV file.

transport in -> recogniser -> barge-in gate -> user aggregator (Silero, SmartTurn) -> intent -> mouth -> voice ->
transport out -> playout. Without speech engines the same pipeline runs on text alone. RTVI is added by Pipecat.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.processors.frameworks.rtvi.observer import RTVIObserverParams
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import BaseTransport

from voice.bot.gate import BargeInGate
from voice.bot.intent import Intent
from voice.bot.mouth import Mouth
from voice.bot.silence import Pauses
from voice.bot.turns import user_turns
from voice.bot.understanding import Understanding
from voice.services.turn_model import TurnModel

#: Sample rates in Hz: what the recognisers take, and what the page plays.
RATE_IN_HZ, RATE_OUT_HZ = 16_000, 24_000
#: Seconds that Pipecat may take to set up, to start, and to cancel a pipeline.
_SETUP_S, _START_S, _CANCEL_S = 10.0, 10.0, 3.0


@dataclass(frozen=True, slots=True)
class SpeechParts:
    """The speech services of one session."""

    stt: STTService
    tts: TTSService
    turn_model: TurnModel


async def build_worker(
    transport: BaseTransport,
    understanding: Understanding,
    intent: Intent,
    mouth: Mouth,
    speech: SpeechParts | None,
) -> PipelineWorker:
    """The pipeline of one session, not running yet."""
    middle: list[FrameProcessor] = [intent, mouth]
    if speech is not None:
        gate = BargeInGate(understanding.is_command)
        understanding.listen_to(gate.take_hearing)
        # Loading a voice detector takes 30 ms, which other calls would hear.
        pauses = speech.stt if isinstance(speech.stt, Pauses) else None
        params = await asyncio.to_thread(user_turns, speech.turn_model, understanding, pauses)
        user = LLMContextAggregatorPair(LLMContext(), user_params=params).user()
        middle = [speech.stt, gate, user, intent, mouth, speech.tts]
    return PipelineWorker(
        Pipeline([transport.input(), *middle, transport.output(), mouth.playout]),
        params=PipelineParams(audio_in_sample_rate=RATE_IN_HZ, audio_out_sample_rate=RATE_OUT_HZ),
        # A task may be silent for hours; who is gone is noticed by the transport and the session.
        idle_timeout_secs=None,
        enable_turn_tracking=False,
        setup_timeout_secs=_SETUP_S,
        start_timeout_secs=_START_S,
        cancel_timeout_secs=_CANCEL_S,
        rtvi_observer_params=_observed(),
    )


def _observed() -> RTVIObserverParams:
    """What clients are told by Pipecat itself: no words of the recogniser, which may be inventions."""
    params = RTVIObserverParams(
        user_llm_enabled=False,
        user_input_enabled=False,
        bot_llm_enabled=False,
        bot_output_enabled=False,
        metrics_enabled=False,
    )
    # Deprecated as an argument, because the message itself will go; until then it has to be switched off.
    params.user_transcription_enabled = False
    return params
