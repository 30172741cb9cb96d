"""One call from connect to close in this process: the real pipeline and store, a voice that is a tone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pipecat")

from pipecat.frames.frames import Frame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService

from infra.cluster import Cluster, open_cluster
from infra.errors import LeaseLost
from infra.settings import load_settings
from infra.template_catalog import load_catalog
from schemas.state import TaskState
from tests.conftest import need
from tests.doubles.voice_system import People
from voice.bot.catalog import Vocabulary
from voice.bot.file_transport import FileTransport, TimeLine
from voice.bot.floor import Holder
from voice.bot.mouth import Outcome
from voice.bot.pipeline import RATE_IN_HZ, RATE_OUT_HZ, SpeechParts
from voice.bot.rtvi import VoiceState
from voice.services.hearing import NothingHeardFrame
from voice.services.turn_model import TurnModel
from voice.session.calls import Calls, LinesBusyError
from voice.session.closer import Reason
from voice.session.main import Call, House, open_call
from voice.session.record import SessionBook

#: Seconds of tone per character.
PER_CHAR_S = 0.02


class ToneVoice(TTSService):
    """Speaks every text as a tone; `is_mute`: makes no sound at all."""

    def __init__(self, *, is_mute: bool = False) -> None:
        settings = TTSSettings(model="tone", voice="tone", language=None)
        super().__init__(
            push_start_frame=True, push_stop_frames=True, max_consecutive_zero_audio_contexts=0, settings=settings
        )
        self._is_mute = is_mute

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        samples = 8000 * np.sin(np.arange(int(RATE_OUT_HZ * PER_CHAR_S * len(text))) / 20)
        pcm = samples.astype(np.int16).tobytes()
        for start in range(0, 0 if self._is_mute else len(pcm), RATE_OUT_HZ // 5):
            yield TTSAudioRawFrame(pcm[start : start + RATE_OUT_HZ // 5], RATE_OUT_HZ, 1, context_id=context_id)


class FakeEar(SegmentedSTTService):
    """Hears `text` in every stretch of sound, `delay_s` after its end; without a text, nothing."""

    def __init__(self, text: str = "", delay_s: float = 0.0) -> None:
        super().__init__(settings=STTSettings(model="fake", language=None), ttfs_p99_latency=0.5)
        self._text, self._delay_s = text, delay_s

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(self._delay_s)
        yield TranscriptionFrame(self._text, "", "") if self._text else NothingHeardFrame()


class Caller:
    """A call that is running, seen from its client."""

    def __init__(self, call: Call, running: asyncio.Task[None], replies: TimeLine, messages: list[Any]) -> None:
        self.call, self.running, self.replies, self.messages = call, running, replies, messages

    def says(self) -> list[str]:
        found = [m["data"] for m in self.messages if m["type"] == "server-message"]
        return [data["text"] for data in found if data["kind"] == "say"]

    async def until(self, condition: Callable[[], object], limit_s: float = 20) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def embedded(tmp_path: Path) -> AsyncGenerator[House]:
    """A cluster without nodes, with one object in it."""
    reports = tmp_path / "objects" / "sisyphus" / "reports"
    reports.mkdir(parents=True)
    (reports / "annual-report.txt").write_text("one two three\n")
    async with open_cluster(load_settings(data=tmp_path)) as cluster:
        vocabulary = Vocabulary(cluster, load_catalog())
        await vocabulary.refresh()
        yield House(cluster, vocabulary)


@asynccontextmanager
async def calling(
    house: House,
    session: str = "s",
    *,
    voice: ToneVoice | None = None,
    ear: FakeEar | None = None,
    speech: bytes = b"",
    alive: Callable[[], bool] | None = None,
    is_text: bool = False,
) -> AsyncGenerator[Caller]:
    """A call with a tone for a voice, or none at all, ready."""
    parts = None if is_text else SpeechParts(ear or FakeEar(), voice or ToneVoice(), TurnModel())
    call = await open_call(house, session, parts, VoiceState(ready=not is_text))
    replies, messages = TimeLine(RATE_OUT_HZ), list[Any]()
    running = asyncio.create_task(call.run(FileTransport(speech, RATE_IN_HZ, replies, messages.append), alive))
    caller = Caller(call, running, replies, messages)
    try:
        await caller.until(lambda: any(m["type"] == "server-message" for m in messages))
        yield caller
    finally:
        await call.closer.close(Reason.DONE)
        await running


async def run_task(cluster: Cluster) -> None:
    """What a node would do with the next task, in two writes."""
    from infra.state_store import Change
    from schemas.event import EventType, NewEvent
    from schemas.lease import LeaseTerms

    (claim,) = await cluster.store.claim("n1", 1, LeaseTerms(), 3)
    progress = NewEvent(type=EventType.PROGRESS, data={"percent": 50, "message": "read 3 lines"})
    await cluster.store.record(claim.lease, Change(state=TaskState.RUNNING, events=(progress,)))
    await cluster.store.record(claim.lease, Change(state=TaskState.COMMITTING))
    await cluster.store.record(claim.lease, Change(state=TaskState.COMPLETE, manifest=()))


async def test_what_was_asked_is_stored_acknowledged_told_and_remembered(tmp_path: Path) -> None:
    """Row, acknowledgement, milestone, end: once each, in order, and the offset is written when all was played."""
    async with embedded(tmp_path) as house:
        async with calling(house) as caller:
            caller.call.intent.take_typed("please count the words in the annual report")
            await caller.until(lambda: len(caller.says()) == 1)
            await run_task(house.cluster)
            await caller.until(lambda: caller.call.announcer.is_idle)
        assert caller.says() == [
            "Okay. Counting the words in the annual report.",
            "Read 3 lines. The words in the annual report are counted.",
        ]
        (task,) = await house.cluster.store.find(session="s")
        assert (await SessionBook.open(house.cluster.store, "s")).spoken(task.id) == task.seq
        expected_s = PER_CHAR_S * sum(map(len, caller.says()))
        sound = np.frombuffer(bytes(caller.replies.pcm), np.int16)
        assert abs(np.count_nonzero(np.abs(sound) > 300) / RATE_OUT_HZ - expected_s) < 0.2 * expected_s


async def test_hushed_in_the_middle_a_sentence_is_cut_and_what_waited_is_dropped(tmp_path: Path) -> None:
    """An interruption ends every utterance exactly once, and the next one is played again."""
    async with embedded(tmp_path) as house, calling(house) as caller:
        mouth = caller.call.mouth
        long, waiting = mouth.say("long " * 60), mouth.say("second")
        await caller.until(lambda: long.has_sound)
        await mouth.hush()
        assert await asyncio.wait_for(long.done, 2) is Outcome.CUT
        assert await asyncio.wait_for(waiting.done, 2) is Outcome.DROPPED
        assert await asyncio.wait_for(mouth.say("third").done, 10) is Outcome.PLAYED
        assert caller.says() == [("long " * 60), "third"]
        await caller.until(lambda: not caller.call.floor.is_held_by(Holder.BOT))


async def test_a_voice_without_sound_does_not_stop_the_conversation(tmp_path: Path) -> None:
    """If the voice fails, what was said is still shown, and the next sentence comes."""
    async with embedded(tmp_path) as house, calling(house, voice=ToneVoice(is_mute=True)) as caller:
        caller.call.intent.take_typed("what is the status")
        await caller.until(lambda: len(caller.says()) == 1)
        caller.call.intent.take_typed("help")
        await caller.until(lambda: len(caller.says()) == 2)


async def test_without_speech_engines_typing_does_the_same(tmp_path: Path) -> None:
    """A server without weights: requests, milestones and results as text."""
    async with embedded(tmp_path) as house, calling(house, is_text=True) as caller:
        caller.call.intent.take_typed("count the words in the annual report")
        await caller.until(lambda: len(caller.says()) == 1)
        await run_task(house.cluster)
        await caller.until(lambda: caller.call.announcer.is_idle)
        assert caller.says()[-1].endswith("The words in the annual report are counted.")
        assert caller.replies.length_s == 0


@pytest.mark.parametrize("delay_s", [0.0, 4.0])
async def test_words_are_acted_on_once_however_late_they_are(tmp_path: Path, delay_s: float) -> None:
    """On a machine that is too busy the words come after their turn was given up; they are not lost."""
    need(shutil.which("flite"), "flite speaks the request (apt-get install flite)")
    ear = FakeEar("count the words in the annual report", delay_s)
    speech = People(tmp_path).say("count the words in the annual report")
    async with embedded(tmp_path / "data") as house, calling(house, ear=ear, speech=speech) as caller:
        await caller.until(lambda: len(caller.says()) == 1)
        assert caller.says() == ["Okay. Counting the words in the annual report."]
        await asyncio.sleep(1)
        assert len(await house.cluster.store.find(session="s")) == 1


async def test_the_answer_to_words_that_interrupt_is_said(tmp_path: Path) -> None:
    """A command in the middle of a sentence cuts the sentence, and its own answer is not cut with it."""
    need(shutil.which("flite"), "flite speaks the request (apt-get install flite)")
    speech = bytes(RATE_IN_HZ * 2) + People(tmp_path).say("what is the status")
    # Late enough that the turn ends with these very words.
    ear = FakeEar("what is the status", 0.6)
    async with embedded(tmp_path / "data") as house, calling(house, ear=ear, speech=speech) as caller:
        long = caller.call.mouth.say("long " * 100)
        assert await asyncio.wait_for(long.done, 10) is Outcome.CUT
        await caller.until(lambda: caller.says()[1:] == ["Nothing is running. You can ask for a task."], 5)


async def test_a_client_that_vanished_is_noticed(tmp_path: Path) -> None:
    """A peer that is silently gone ends its call within seconds; its tasks are not touched."""
    is_alive = True
    async with embedded(tmp_path) as house, calling(house, alive=lambda: is_alive) as caller:
        caller.call.intent.take_typed("count the words in the annual report")
        await caller.until(lambda: len(caller.says()) == 1)
        await asyncio.sleep(1.2)
        is_alive = False
        await asyncio.wait_for(asyncio.shield(caller.running), 10)
        assert caller.call.closer.reason is Reason.GONE
        (task,) = await house.cluster.store.find(session="s")
        assert task.state is TaskState.QUEUED


async def test_the_older_connection_of_a_session_ends_and_writes_nothing(tmp_path: Path) -> None:
    """Opened again elsewhere, a session refuses the writes of its older connection, which closes itself."""
    async with embedded(tmp_path) as house, calling(house) as older:
        newer = await SessionBook.open(house.cluster.store, "s")
        with pytest.raises(LeaseLost):
            await older.call.checkpoint()
        older.call.intent.take_typed("count the words in the annual report")
        await asyncio.wait_for(asyncio.shield(older.running), 20)
        assert older.call.closer.reason is Reason.TAKEN_OVER
        await newer.commit({})


async def test_calls_leave_nothing_behind(tmp_path: Path) -> None:
    """Ten calls, opened and closed: as many running coroutines as before the first."""
    async with embedded(tmp_path) as house:
        before = len(asyncio.all_tasks())
        for number in range(10):
            async with calling(house, f"s{number}") as caller:
                caller.call.mouth.say("hello")
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.05)


@pytest.mark.timeout(60)
def test_a_process_that_is_told_to_end_at_once_ends_although_a_call_runs(tmp_path: Path) -> None:
    """Every coroutine of the process is cancelled at the same time, those by which a pipeline would end among them."""

    async def cut_off() -> None:
        async with embedded(tmp_path) as house:
            call = await open_call(house, "s", SpeechParts(FakeEar(), ToneVoice(), TurnModel()), VoiceState(ready=True))
            messages = list[Any]()
            transport = FileTransport(b"", RATE_IN_HZ, TimeLine(RATE_OUT_HZ), messages.append)
            running = asyncio.create_task(call.run(transport))
            while not any(m["type"] == "server-message" for m in messages):
                await asyncio.sleep(0.02)
            assert not running.done()

    asyncio.run(cut_off())


async def test_admission_is_exact_and_a_session_keeps_its_own_line(tmp_path: Path) -> None:
    """Two lines: a third session is refused, a reconnect is not, and a line that was given back is free."""
    calls = Calls(limit=2)
    first = calls.admit("a")
    calls.admit("b")
    with pytest.raises(LinesBusyError, match="All 2 lines are taken"):
        calls.admit("c")
    again = calls.admit("a")
    calls.release(first)
    with pytest.raises(LinesBusyError):
        calls.admit("c")
    calls.release(again)
    calls.admit("c")
    assert len(calls) == 2
    await calls.close()
    with pytest.raises(LinesBusyError):
        calls.admit("b")
