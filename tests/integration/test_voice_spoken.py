"""People speak over the WebSocket to a real embedded system; sound goes in and comes out in real time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Generator
from pathlib import Path

import pytest
import websockets

from infra.cluster import open_cluster
from schemas.paths import Remote
from schemas.record import TaskRecord
from schemas.state import TaskState
from tests.doubles.call_client import CallClient, call
from tests.doubles.voice_system import People, VoiceSystem, cough, need_speech, running_system, silence

pytestmark = [pytest.mark.speech, pytest.mark.slow]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Generator[VoiceSystem]:
    need_speech()
    with running_system(tmp_path_factory.mktemp("spoken") / "data") as system:
        yield system


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


def session() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


async def tasks_of(system: VoiceSystem, name: str) -> list[TaskRecord]:
    async with open_cluster(system.settings) as cluster:
        return await cluster.store.find(session=name)


async def text_of(system: VoiceSystem, remote: str) -> str:
    async with open_cluster(system.settings) as cluster:
        return await cluster.read_text(Remote.parse(remote))


async def settled(caller: CallClient, quiet_s: float = 3.0) -> None:
    """Wait until nothing happened for a while that the caller could see or hear."""
    async with asyncio.timeout(60):
        while True:
            seen = len(caller.messages)
            await asyncio.sleep(quiet_s)
            if len(caller.messages) == seen:
                return


async def test_a_spoken_request_becomes_a_task_and_its_result_is_heard(system: VoiceSystem, people: People) -> None:
    """Said: count the words. Heard: okay, the milestones, the result. Stored: the right number."""
    name = session()
    async with call(system.url, name, microphone=True) as caller:
        ended_s = await caller.speak(people.say("please count the words in the annual report"))
        await caller.event(kind="task")
        await caller.said("Okay. Counting the words in the annual report.")
        first = await caller.said("The annual report has")
        await settled(caller)
        heard_s = caller.first_sound_after(ended_s)
        assert heard_s is not None
        assert heard_s < first
    (task,) = await tasks_of(system, name)
    assert task.state is TaskState.COMPLETE
    words = (await text_of(system, f"sisyphus:results/{task.id}/count.txt")).strip()
    example = Path(__file__).parents[2] / "examples" / "data" / "reports" / "annual-report.txt"
    assert words == str(len(example.read_text().split()))
    assert f"The annual report has {words} words." in caller.says()[-1]
    assert "people" not in task.document.model_dump_json(), "the document holds no transcript"
    seqs = [m["data"]["seq"] for _, m in caller.messages if m["type"] == "server-message"]
    assert seqs == sorted(set(seqs)), "numbers rise and none comes twice"


async def test_milestones_come_in_order_and_survive_a_reconnect(system: VoiceSystem, people: People) -> None:
    """The page reconnects in the middle of a half-minute task: every milestone and the end once, in order."""
    name = session()
    async with call(system.url, name, microphone=True) as first:
        await first.speak(people.say("run a slow audit of the quarterly report", voice="slt"))
        await first.said("Okay. Auditing the quarterly report.")
        await first.said("Pass 2 of 6")
        await asyncio.sleep(2.5)
    await asyncio.sleep(1)
    async with call(system.url, name, microphone=True) as second:
        snapshot = await second.snapshot()
        assert [card["state"] for card in snapshot["tasks"]] == ["running"]
        assert any("Pass 2 of 6" in line["text"] for line in snapshot["transcript"])
        await second.said("The audit of the quarterly report is finished", timeout_s=60)
        await settled(second)
    said = " ".join([*first.says(), *second.says()])
    places = [said.index(f"Pass {number} of 6") for number in range(1, 7)]
    assert places == sorted(places)
    assert all(said.count(f"Pass {number} of 6") == 1 for number in (1, 3, 4, 5, 6))
    assert said.count("is finished") == 1
    assert said.count("Okay") == 1


async def test_a_pause_inside_a_command_does_not_cut_it(system: VoiceSystem, people: People) -> None:
    """A speaker who thinks for a second in the middle is still understood as a whole."""
    name = session()
    async with call(system.url, name, microphone=True) as caller:
        await caller.speak(people.say("please make a checksum of", 0.9, "the error log", voice="slt"))
        await caller.said("Okay. Making a checksum of the error log.")
        await settled(caller)
    assert [task.document.tags["template"] for task in await tasks_of(system, name)] == ["checksum"]


@pytest.mark.parametrize("text", ["compare the annual report", "count the words in"])
async def test_half_a_command_starts_nothing(system: VoiceSystem, people: People, text: str) -> None:
    """A command that was cut off in the middle never becomes another one."""
    name = session()
    async with call(system.url, name, microphone=True) as caller:
        await caller.speak(people.say(text))
        await settled(caller, 4.0)
    assert await tasks_of(system, name) == []


async def test_noises_and_fillers_neither_act_nor_interrupt(system: VoiceSystem, people: People) -> None:
    """While the bot speaks: "uh huh", a cough and silence change nothing; it goes on to its end."""
    name = session()
    async with call(system.url, name, microphone=True) as caller:
        await caller.type("help")
        await caller.said("You can say")
        for sound in (people.say("uh huh"), cough(), people.say("mm hmm", voice="slt"), silence(1.0)):
            await caller.speak(sound)
        await settled(caller, 6.0)
        interrupted = [m for _, m in caller.messages if m["type"] == "bot-interrupted"]
        assert interrupted == []
        assert len(caller.says()) == 1
    assert await tasks_of(system, name) == []


async def test_stop_that_please_silences_the_bot(system: VoiceSystem, people: People) -> None:
    """The bot falls silent in the middle of its sentence, and nothing is canceled."""
    async with call(system.url, session(), microphone=True) as caller:
        await caller.type("help")
        begun_s = await caller.said("You can say")
        await asyncio.sleep(2.5)
        ended_s = await caller.speak(people.say("stop that please"))
        await caller.wait(lambda m: m["type"] == "bot-interrupted")
        await settled(caller)
        assert begun_s < caller.last_sound() < ended_s + 3.0, "silent long before the sentence would have ended"
        assert len(caller.says()) == 1


async def test_a_doubtful_request_is_settled_by_a_spoken_yes(system: VoiceSystem, people: People) -> None:
    """Asked back, answered by voice, and only then started."""
    name = session()
    async with call(system.url, name, microphone=True) as caller:
        await caller.type("cow the words in the annual report")
        await caller.said("Did you mean: count the words in the annual report")
        assert await tasks_of(system, name) == []
        await settled(caller, 1.0)
        await caller.speak(people.say("yes", voice="slt"))
        await caller.said("Okay. Counting the words in the annual report.")


async def test_a_spoken_cancel_is_read_back_and_confirmed(system: VoiceSystem, people: People) -> None:
    """The task is named, a yes stops it, and its end is spoken from the database."""
    name = session()
    async with call(system.url, name, microphone=True) as caller:
        await caller.type("run a slow audit of the quarterly report")
        await caller.event(kind="task")
        await caller.said("Auditing")
        await caller.speak(people.say("cancel the task"))
        await caller.said("Do you want me to cancel the audit of the quarterly report?")
        await settled(caller, 1.0)
        await caller.speak(people.say("yes please"))
        await caller.said("Okay. Canceling")
        await caller.said("is canceled")
    (task,) = await tasks_of(system, name)
    assert task.state is TaskState.CANCELED


async def test_a_second_connection_takes_the_session_over(system: VoiceSystem) -> None:
    """Never two voices for one session: the older connection is told and closed, and keeps its line for the newer."""
    name = session()
    async with call(system.url, name) as older, call(system.url, name) as newer:
        async with asyncio.timeout(10):
            await older.closed.wait()
        assert any("another window" in str(m.get("data")) for _, m in older.messages if m["type"] == "error")
        await newer.type("what is the status")
        await newer.said("Nothing is running")


async def test_when_all_lines_are_taken_the_next_caller_is_told(system: VoiceSystem) -> None:
    """Admission is exact, and a line is free again as soon as somebody hangs up."""
    limit = system.settings.sessions
    connections = [call(system.url, session()) for _ in range(limit)]
    for connection in connections:
        await connection.__aenter__()
    with pytest.raises(websockets.ConnectionClosed) as refused:
        async with call(system.url, session()):
            pass
    assert refused.value.rcvd is not None
    assert refused.value.rcvd.code == 1013
    assert f"All {limit} lines are taken" in refused.value.rcvd.reason
    await connections[0].__aexit__(None, None, None)
    async with asyncio.timeout(10):
        while True:
            try:
                async with call(system.url, session()):
                    break
            except websockets.ConnectionClosed:
                await asyncio.sleep(0.2)
    for connection in connections[1:]:
        await connection.__aexit__(None, None, None)
