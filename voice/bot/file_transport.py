"""A transport without a network: a WAV file speaks, in real time, and what the bot says is kept on the same time line.

The pipeline cannot tell it from a call. Sound goes in 20 ms at a time; behind the end of the file comes silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

#: Seconds of sound in one frame, and how far ahead of its playing sound is taken.
_TICK_S, _AHEAD_S = 0.02, 0.04
_CLIENT_READY = {
    "label": "rtvi-ai",
    "type": "client-ready",
    "id": "file",
    "data": {"version": "2.2.0", "about": {"library": "sisyphus-voice-say"}},
}


class _Tasks(Protocol):
    def create_task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...
    async def cancel_task(self, task: asyncio.Task[None]) -> None: ...


class TimeLine:
    """Mono PCM16 at `rate_hz`, from second 0; bounded by whoever bounds the session."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.pcm = bytearray()

    @property
    def length_s(self) -> float:
        """Seconds until the end of the last sound."""
        return len(self.pcm) / 2 / self.rate_hz

    def place(self, at_s: float, pcm: bytes) -> None:
        """Put sound at `at_s` or, if something is there already, right behind it."""
        gap = 2 * round(at_s * self.rate_hz) - len(self.pcm)
        if gap > 0:
            self.pcm += bytes(gap)
        self.pcm += pcm


class FileTransport(BaseTransport):
    """A caller made of sound.

    Args:
        speech: mono PCM16 at the pipeline's input rate.
        rate_hz: that rate.
        replies: takes what the bot says.
        on_message: told every RTVI message.
    """

    def __init__(
        self, speech: bytes, rate_hz: int, replies: TimeLine, on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        # Pipecat leaves its keyword arguments untyped.
        cast("Any", super()).__init__()
        self._register_event_handler("on_client_disconnected")
        self.spoken = asyncio.Event()
        params = TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=rate_hz,
            audio_out_sample_rate=replies.rate_hz,
            audio_out_end_silence_secs=0,
        )
        self._begun_s: float | None = None
        self._input = _FileInput(params, speech, rate_hz, self)
        self._output = _FileOutput(params, replies, on_message, self)

    def now_s(self) -> float:
        """Seconds on the time line that both sides share."""
        now_s = asyncio.get_running_loop().time()
        if self._begun_s is None:
            self._begun_s = now_s
        return now_s - self._begun_s

    def input(self) -> BaseInputTransport:
        """Where the file is heard."""
        return self._input

    def output(self) -> BaseOutputTransport:
        """Where the bot speaks."""
        return self._output


class _FileInput(BaseInputTransport):
    def __init__(self, params: TransportParams, speech: bytes, rate_hz: int, transport: FileTransport) -> None:
        cast("Any", super()).__init__(params)
        self._speech, self._rate_hz, self._transport = speech, rate_hz, transport
        self._speaking: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Say hello, then speak."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        await self.push_frame(InputTransportMessageFrame(message=_CLIENT_READY), FrameDirection.UPSTREAM)
        self._speaking = cast("_Tasks", self).create_task(self._speak(), "file")

    async def stop(self, frame: EndFrame) -> None:
        """Fall silent."""
        await self._fall_silent()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Fall silent."""
        await self._fall_silent()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Fall silent."""
        await self._fall_silent()
        await super().cleanup()

    async def _fall_silent(self) -> None:
        task, self._speaking = self._speaking, None
        if task is not None:
            await cast("_Tasks", self).cancel_task(task)

    async def _speak(self) -> None:
        size = 2 * round(self._rate_hz * _TICK_S)
        ticks = 0
        while True:
            tick = self._speech[ticks * size : (ticks + 1) * size]
            if not tick:
                self._transport.spoken.set()
            ticks += 1
            await self.push_audio_frame(InputAudioRawFrame(tick.ljust(size, b"\0"), self._rate_hz, 1))
            await asyncio.sleep(max(0.0, ticks * _TICK_S - self._transport.now_s()))


class _FileOutput(BaseOutputTransport):
    def __init__(
        self,
        params: TransportParams,
        replies: TimeLine,
        on_message: Callable[[dict[str, Any]], None],
        transport: FileTransport,
    ) -> None:
        cast("Any", super()).__init__(params)
        self._replies, self._on_message, self._transport = replies, on_message, transport

    async def start(self, frame: StartFrame) -> None:
        """Ready at once."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Keep it where it is heard, and return about when a loudspeaker would want more."""
        self._replies.place(self._transport.now_s(), frame.audio)
        await asyncio.sleep(max(0.0, self._replies.length_s - self._transport.now_s() - _AHEAD_S))
        return True

    async def send_message(self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame) -> None:
        """Hand RTVI messages on."""
        message = cast("object", frame.message)
        if isinstance(message, dict):
            self._on_message(cast("dict[str, Any]", message))
