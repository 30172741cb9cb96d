"""How long people wait, spoken to over the WebSocket and in Chromium; prints JSON, beside a floor from the same run.

The floor is what no voice front end of this kind can go below: the silence by which the voice detector knows that
speech has ended, and the bare recogniser on the same sound.

Usage: python -m benchmarks.voice [--quick] [--no-browser]
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.doubles.call_client import CallClient, call
from tests.doubles.voice_system import VOICES, People, VoiceSystem, running_system
from voice.services.registry import SpeechSettings
from voice.services.whisper_engine import open_whisper

#: What is said; each by every voice.
REQUESTS = (
    "please count the words in the annual report",
    "make a checksum of the error log",
    "could you run a slow audit of the quarterly report",
    "compare the annual report with the quarterly report",
    "how many words are in the annual report",
    "compress the error log",
)
STOP, BACKCHANNELS = "stop that please", ("uh huh", "mm hmm", "okay", "yeah")
#: Seconds of silence by which the voice detector knows that speech has ended.
VAD_STOP_S = 0.2
#: Seconds without a call after which the server is at rest.
REST_S = 20.0


def spread(values_ms: Sequence[float]) -> dict[str, float]:
    """Median, 90th percentile and largest of some figures."""
    ordered = sorted(values_ms)
    if not ordered:
        return {"n": 0}
    p90 = ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))]
    return {
        "n": len(ordered),
        "median_ms": round(statistics.median(ordered), 1),
        "p90_ms": round(p90, 1),
        "max_ms": round(ordered[-1], 1),
    }


async def requests(system: VoiceSystem, people: People, texts: Sequence[str]) -> dict[str, Any]:
    """End of speech to the first sound of the answer, and to the task's row as the client sees it."""
    audio_ms: list[float] = []
    row_ms: list[float] = []
    missed: list[str] = []
    for text in texts:
        for voice in VOICES:
            async with call(system.url, f"b-{uuid.uuid4().hex}", microphone=True) as caller:
                await asyncio.sleep(0.3)
                ended_s = await caller.speak(people.say(text, voice=voice))
                try:
                    await caller.said("Okay.", timeout_s=8)
                except TimeoutError:
                    missed.append(f"{voice}: {text}")
                    continue
                await asyncio.sleep(0.5)
                row_ms.append(1000 * (_first(caller, "task") - ended_s))
                audio_ms.append(1000 * ((caller.first_sound_after(ended_s) or 0) - ended_s))
                await _cancel_all(caller)
    return {"to_first_audio": spread(audio_ms), "to_task_row": spread(row_ms), "not_accepted": missed}


async def barge_in(system: VoiceSystem, people: People) -> dict[str, Any]:
    """From "stop that please" to silence, and what backchannels do."""
    silent_ms: list[float] = []
    for voice in VOICES:
        async with call(system.url, f"b-{uuid.uuid4().hex}", microphone=True) as caller:
            await _make_it_talk(caller)
            ended_s = await caller.speak(people.say(STOP, voice=voice))
            await asyncio.sleep(2.0)
            silent_ms.append(1000 * max(0.0, caller.last_sound() - ended_s))
    cut: list[str] = []
    for voice in VOICES:
        async with call(system.url, f"b-{uuid.uuid4().hex}", microphone=True) as caller:
            await _make_it_talk(caller)
            for text in BACKCHANNELS:
                before = _interruptions(caller)
                await caller.speak(people.say(text, voice=voice))
                await asyncio.sleep(0.8)
                if _interruptions(caller) > before:
                    cut.append(f"{voice}: {text}")
                    break
    return {"stop_to_silence": spread(silent_ms), "backchannels": len(VOICES) * len(BACKCHANNELS), "cut": cut}


async def connect(system: VoiceSystem, times: int) -> dict[str, float]:
    """Connecting to bot-ready, over the WebSocket."""
    taken_ms: list[float] = []
    for _ in range(times):
        begun_s = time.monotonic()
        async with call(system.url, f"b-{uuid.uuid4().hex}"):
            taken_ms.append(1000 * (time.monotonic() - begun_s))
    return spread(taken_ms)


async def connect_browser(system: VoiceSystem, people: People, times: int) -> dict[str, float]:
    """Click to bot-ready, in Chromium over WebRTC with a microphone."""
    from playwright.async_api import async_playwright, expect

    flags = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={people.wav('nothing in particular')}",
    ]
    taken_ms: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for _ in range(times):
            page = await browser.new_page()
            await page.goto(system.url)
            await page.get_by_test_id("call").click()
            await expect(page.get_by_test_id("connection")).to_have_attribute("data-phase", "online", timeout=20_000)
            taken_ms.append(await page.evaluate("window.__sisyphus.readyMs"))
            await page.get_by_test_id("hangup").click()
            await page.close()
        await browser.close()
    return spread(taken_ms)


async def floor(people: People, models: Path, texts: Sequence[str]) -> dict[str, Any]:
    """The voice detector's silence, and the bare recogniser on the same sound."""
    engine: Any = await open_whisper(SpeechSettings(models_dir=models))
    taken_ms: list[float] = []
    for text in texts:
        for voice in VOICES:
            begun_s = time.monotonic()
            await engine._first.look(people.say(text, voice=voice))
            taken_ms.append(1000 * (time.monotonic() - begun_s))
    await engine.close()
    decode = spread(taken_ms)
    return {"decode": decode, "vad_stop_ms": 1000 * VAD_STOP_S, "sum_ms": decode["median_ms"] + 1000 * VAD_STOP_S}


def memory(system: VoiceSystem) -> dict[str, float]:
    """Resident megabytes of the door with the voice in it, of the voice process, and of both together."""
    found: dict[str, float] = {}
    for process in psutil.Process(system.process.pid).children(recursive=True):
        line = " ".join(process.cmdline())
        part = "voice_process" if "piper" in line else "door" if "door" in line else "node"
        found[part] = round(found.get(part, 0) + process.memory_info().rss / 1e6, 1)
    found["voice_server"] = round(found.get("door", 0) + found.get("voice_process", 0), 1)
    return found


async def run(*, is_quick: bool, has_browser: bool) -> dict[str, Any]:
    """Every figure, on a system of its own."""
    texts = REQUESTS[:1] if is_quick else REQUESTS
    with tempfile.TemporaryDirectory() as folder:
        people = People(Path(folder))
        with running_system(Path(folder) / "data") as system:
            await asyncio.sleep(REST_S)
            result: dict[str, Any] = {"memory_at_rest_mb": memory(system)}
            result["floor"] = await floor(people, system.data / "models", texts)
            result["request"] = await requests(system, people, texts)
            result["barge_in"] = await barge_in(system, people)
            result["websocket_ready"] = await connect(system, 3 if is_quick else 10)
            if has_browser:
                result["click_to_ready"] = await connect_browser(system, people, 2 if is_quick else 5)
            await asyncio.sleep(REST_S)
            result["memory_at_rest_after_calls_mb"] = memory(system)
    return result


async def _make_it_talk(caller: CallClient) -> None:
    await caller.type("help")
    begun_s = await caller.said("You can say")
    async with asyncio.timeout(20):
        while caller.first_sound_after(begun_s) is None:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)


async def _cancel_all(caller: CallClient) -> None:
    for event in caller.events("task")[:1]:
        await caller.send("client-message", {"t": "cancel", "d": {"task": event["task"]["id"]}})
    await asyncio.sleep(0.2)


def _first(caller: CallClient, kind: str) -> float:
    return next(t for t, m in caller.messages if m["type"] == "server-message" and m["data"]["kind"] == kind)


def _interruptions(caller: CallClient) -> int:
    return sum(m["type"] == "bot-interrupted" for _, m in caller.messages)


if __name__ == "__main__":
    figures = asyncio.run(run(is_quick="--quick" in sys.argv, has_browser="--no-browser" not in sys.argv))
    print(json.dumps(figures, indent=2))
