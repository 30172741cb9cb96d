"""`sisyphus voice say`: a WAV file in, a WAV file and a transcript out, as a stranger would run it."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.doubles.voice_system import ROOT, People, VoiceSystem, need_speech, running_system

pytestmark = [pytest.mark.speech, pytest.mark.slow]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Generator[VoiceSystem]:
    need_speech()
    # Without the page's own voice server: the command brings its own ears and voice.
    with running_system(tmp_path_factory.mktemp("say") / "data", "--nodes", "1") as system:
        yield system


def say(data: Path, request: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.cli", "voice", "say", str(request), "--data", str(data), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)


def silence(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(32_000))


def transcript(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def loud_s(path: Path) -> list[float]:
    """Seconds at which the file is loud."""
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.int32)
        return [float(place) for place in np.flatnonzero(np.abs(samples) > 300) / file.getframerate()]


def test_a_file_is_spoken_understood_done_and_answered_on_one_time_line(system: VoiceSystem, tmp_path: Path) -> None:
    """It ends when the task has ended and was spoken; sound and transcript agree on when what was said."""
    request, reply, lines = (
        People(tmp_path).wav("please count the words in the annual report"),
        tmp_path / "r.wav",
        tmp_path / "t",
    )
    done = say(system.data, request, "--out", str(reply), "--transcript", str(lines))
    assert done.returncode == 0, done.stderr
    events = transcript(lines)
    assert [e["t"] for e in events] == sorted(e["t"] for e in events)
    said = [e for e in events if e["type"] == "say"]
    assert said[0]["text"] == "Okay. Counting the words in the annual report."
    assert said[-1]["text"].endswith("words.")
    assert {e["task"] for e in said} == {e["task"] for e in events if e["type"] == "task"}
    ended = [e for e in events if e["type"] == "task" and e["state"] == "complete"]
    assert ended[-1]["result"] in said[-1]["text"]
    loud = loud_s(reply)
    begun = next(e["t"] for e in events if e["type"] == "bot_started")
    assert abs(loud[0] - begun) < 0.5
    assert loud[-1] < events[-1]["t"]
    assert events[-1] == {"t": events[-1]["t"], "type": "end", "text": "done"}
    assert "bot: Okay. Counting" in done.stdout
    assert f"reply: {reply}, " in done.stdout


def test_a_file_without_words_is_called_so(system: VoiceSystem, tmp_path: Path) -> None:
    """Silence is answered by silence, and the one at the terminal learns why."""
    request = tmp_path / "q.wav"
    silence(request)
    done = say(system.data, request, "--out", str(tmp_path / "r.wav"))
    assert done.returncode == 0, done.stderr
    assert f"no words were heard in {request}" in done.stderr
    assert f"reply: {tmp_path / 'r.wav'}, 0.0 s of speech" in done.stdout


def test_words_that_are_no_request_are_not_called_silence(system: VoiceSystem, tmp_path: Path) -> None:
    """The bot says so, and so does the terminal; the words themselves are not shown, nobody may have said them."""
    request = People(tmp_path).wav("the weather was lovely in the mountains last week")
    done = say(system.data, request, "--out", str(tmp_path / "r.wav"))
    assert done.returncode == 0, done.stderr
    assert f"no request was understood in {request}" in done.stderr
    assert "you:" not in done.stdout


def test_a_task_that_takes_longer_than_allowed_is_reported(system: VoiceSystem, tmp_path: Path) -> None:
    """The deadline ends the session with a sentence; both files are there, and the task goes on."""
    request = People(tmp_path).wav("run a slow audit of the quarterly report")
    reply, lines = tmp_path / "r.wav", tmp_path / "t"
    done = say(system.data, request, "--out", str(reply), "--transcript", str(lines), "--deadline", "9")
    assert done.returncode == 3
    assert "--deadline allows more" in done.stderr
    assert transcript(lines)[-1]["text"] == "deadline"
    assert reply.exists()


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"no sound at all", "cannot be read as a WAV file"), (None, "No such file")]
)
def test_a_file_that_is_no_sound_is_refused_at_once(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    """What is wrong with the file is said before anything is loaded."""
    request = tmp_path / "q.wav"
    if content is not None:
        request.write_bytes(content)
    done = say(tmp_path / "data", request, "--out", str(tmp_path / "r.wav"))
    assert done.returncode == 2
    assert sentence in done.stderr


def test_without_a_node_it_says_what_to_do(tmp_path: Path) -> None:
    """Nothing would be done, so nothing is asked; the message names the commands that help."""
    request = tmp_path / "q.wav"
    silence(request)
    done = say(tmp_path / "data", request, "--out", str(tmp_path / "r.wav"))
    assert done.returncode == 3
    assert "no node is running" in done.stderr
    assert "sisyphus up" in done.stderr
