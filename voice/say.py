"""``sisyphus voice say``: one whole session over a WAV file, through the same pipeline as a call.

It runs until the tasks that it started have ended, everything about them was said, and both sides are quiet. The
transcript has one JSON line per event with ``t`` in seconds on the time line of both sound files.
"""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import numpy as np
import pipecat.audio.utils

from infra.cluster import Cluster
from infra.errors import ConfigurationError, SisyphusError
from infra.identity import new_id
from schemas.record import TaskRecord
from voice.bot.file_transport import FileTransport, TimeLine
from voice.bot.pipeline import RATE_IN_HZ, RATE_OUT_HZ
from voice.house import VoiceHouse
from voice.session.closer import Reason
from voice.session.main import Call

#: Seconds of silence on both sides after which a session without open tasks is over. Longer than the pause for which
#: an unfinished request is waited for.
_QUIET_S = 2.5
#: Seconds for the speech engines to load.
_LOAD_S = 120.0
#: Longest request and longest session, in seconds.
_MAX_REQUEST_S = 600.0
#: RTVI's own messages that are worth a line.
_SIDES = {
    "user-started-speaking": "user_started",
    "user-stopped-speaking": "user_stopped",
    "bot-started-speaking": "bot_started",
    "bot-stopped-speaking": "bot_stopped",
}

Event = dict[str, Any]


class _Resampler(Protocol):
    async def resample(self, audio: bytes, in_rate: int, out_rate: int) -> bytes: ...


# Pipecat leaves its keyword arguments untyped.
_new_resampler = cast("Callable[[], _Resampler]", vars(pipecat.audio.utils)["create_file_resampler"])
OnEvent = Callable[[Event], None]


class NoNodeError(SisyphusError):
    """There is nobody to do what is asked for."""


class TooLongError(SisyphusError):
    """The deadline came before the tasks had ended."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What became of the request.

    Attributes:
        records: the tasks of the session, oldest first.
        reply_s: seconds of sound in the reply.
    """

    records: list[TaskRecord]
    reply_s: float


async def say(
    cluster: Cluster,
    request: Path,
    reply: Path,
    *,
    session: str | None = None,
    transcript: Path | None = None,
    deadline_s: float = 600.0,
    on_event: OnEvent | None = None,
) -> Spoken:
    """Speak a WAV file to the cluster and store what it answers. Both files are written also when it fails.

    Raises:
        ConfigurationError: the file is no sound that can be read, or the speech engines are not there.
        NoNodeError: no node runs, so nothing that is asked for would ever be done.
        TooLongError: the tasks had not ended within `deadline_s`.
    """
    speech = await read_speech(request)
    await _check_nodes(cluster)
    replies = TimeLine(RATE_OUT_HZ)
    try:
        async with VoiceHouse.open(cluster) as house, _written(transcript) as file:
            voice = await house.settled(_LOAD_S)
            if not voice.ready:
                raise ConfigurationError(f"speech is not available: {voice.reason}")
            records = await _converse(
                house, session or new_id("say-"), speech, replies, deadline_s, _teller(file, on_event)
            )
    finally:
        await asyncio.to_thread(write_wav, reply, bytes(replies.pcm), replies.rate_hz)
    return Spoken(records, replies.length_s)


async def _converse(
    house: VoiceHouse, session: str, speech: bytes, replies: TimeLine, deadline_s: float, tell: OnEvent
) -> list[TaskRecord]:
    transport: FileTransport | None = None

    def on_message(message: dict[str, Any]) -> None:
        event = as_event(message)
        if event is not None and transport is not None:
            tell({"t": round(transport.now_s(), 3), **event})

    transport = FileTransport(speech, RATE_IN_HZ, replies, on_message)
    ticket = house.calls.admit(session)
    call = await house.prepare(ticket)
    async with house.calls.running(ticket, call):
        running = asyncio.create_task(call.run(transport))
        try:
            async with asyncio.timeout(deadline_s):
                await _until_over(call, transport, running)
            is_late = False
        except TimeoutError:
            is_late = True
        finally:
            await call.closer.close(Reason.DONE)
            await running
    tell({"t": round(transport.now_s(), 3), "type": "end", "text": "deadline" if is_late else "done"})
    if is_late:
        unfinished = [record.id for record in call.announcer.records if not record.is_terminal]
        raise TooLongError(
            f"not everything had ended and been said within {deadline_s:g} s (open tasks: "
            f"{', '.join(unfinished) or 'none'}); they go on, `sisyphus status` shows them; --deadline allows more"
        )
    return call.announcer.records


async def _until_over(call: Call, transport: FileTransport, running: asyncio.Task[None]) -> None:
    await transport.spoken.wait()
    ended_s = transport.now_s()
    while not running.done():
        is_quiet = call.floor.free_s() >= _QUIET_S and transport.now_s() - ended_s >= _QUIET_S
        if is_quiet and call.announcer.is_idle:
            return
        await asyncio.wait({running}, timeout=0.1)


def as_event(message: dict[str, Any]) -> Event | None:
    """One line of the transcript for an RTVI message, without ``t``; None for what is not worth one."""
    if message.get("type") in _SIDES:
        return {"type": _SIDES[message["type"]]}
    data = cast("Event", message.get("data") or {})
    kind = data.get("kind") if message.get("type") == "server-message" else None
    line: Event = {"type": kind, "text": data.get("text"), "task": data.get("task"), "seq": data.get("seq")}
    if kind in {"heard", "say"}:
        return line
    if kind == "state":
        return {**line, "text": data["state"]}
    if kind == "task":
        shown = cast("Event", data["task"])
        kept = {key: shown[key] for key in ("name", "state", "progress", "result", "error")}
        stored = [file["path"] for file in shown["outputs"]]
        return {**line, "text": shown["line"], "task": shown["id"], **kept, "outputs": stored}
    return None


async def read_speech(path: Path) -> bytes:
    """A WAV file as mono PCM16 at the pipeline's input rate.

    Raises:
        ConfigurationError: there is no such file, it is no WAV file of 16-bit PCM, or too long.
    """
    try:
        pcm, rate_hz, channels = await asyncio.to_thread(_read_wav, path)
    except (OSError, EOFError, wave.Error) as error:
        raise ConfigurationError(f"{path}: cannot be read as a WAV file of 16-bit PCM: {error}") from None
    samples = np.frombuffer(pcm, np.int16).reshape(-1, channels).astype(np.float32).mean(axis=1).astype(np.int16)
    return await _new_resampler().resample(samples.tobytes(), rate_hz, RATE_IN_HZ)


def write_wav(path: Path, pcm: bytes, rate_hz: int) -> None:
    """Write mono PCM16."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(pcm)


def _read_wav(path: Path) -> tuple[bytes, int, int]:
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise wave.Error(f"it has {8 * file.getsampwidth()} bits per sample")
        if file.getnframes() > _MAX_REQUEST_S * file.getframerate():
            raise wave.Error(f"it is longer than {_MAX_REQUEST_S:g} s")
        return file.readframes(file.getnframes()), file.getframerate(), file.getnchannels()


async def _check_nodes(cluster: Cluster) -> None:
    alive = [n for n in await cluster.store.nodes() if n.seen_s < cluster.settings.lease.ttl_s]
    if not alive:
        raise NoNodeError(
            f"no node is running for {cluster.settings.data}, so nothing that is asked for would be done; "
            f"start the system with `sisyphus up`, or one node with `sisyphus worker`, and try again"
        )


@asynccontextmanager
async def _written(transcript: Path | None) -> AsyncGenerator[TextIO | None]:
    file = await asyncio.to_thread(transcript.open, "w", encoding="utf-8") if transcript is not None else None
    try:
        yield file
    finally:
        if file is not None:
            file.close()


def _teller(file: TextIO | None, on_event: OnEvent | None) -> OnEvent:
    def tell(event: Event) -> None:
        if file is not None:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
            file.flush()
        if on_event is not None:
            on_event(event)

    return tell
