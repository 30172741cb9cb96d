"""Speaks the corpora with offline voices and keeps what the recognisers heard, as benchmarks/corpus/heard.jsonl.

Needs flite, espeak-ng and the speech weights. One line per utterance: set, kind, text, voice, the hypotheses of the
small model, those of the better one where the first look is not sure, and how likely the models find each wording that
was held against the sound. `replay` runs the rule of the voice front end over such a file, so that tests need no audio.

Usage: python -m benchmarks.hear_corpus speak | replay [--show]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import wave
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.matching import BLIND, CORPUS, SETS, Command, commands, is_wrong_task, lines, matcher, tell, verdict
from infra.template_catalog import load_catalog
from schemas.match import Hypothesis, Match, MatchKind, Reading
from schemas.utterance import Matcher
from voice.bot.catalog import MAX_HINTS
from voice.bot.hints import hint_of
from voice.bot.proposals import REPAIRED, REPAIRED_RIVALS, SKETCHED, SKETCHED_RIVALS
from voice.bot.understanding import Understanding
from voice.services.errors import SpeechBusy
from voice.services.hearing import Hearing, Hint, Look, Weight
from voice.services.weight_pins import BASE, TINY
from voice.services.weights import Weights
from voice.services.whisper import FURTHER_TEMPOS
from voice.services.whisper_model import WhisperModel

HEARD = CORPUS / "heard.jsonl"
VOICES = ("flite rms", "flite slt", "flite awb", "flite kal16", "espeak en-us", "espeak en-gb")
#: How many voices say each command of a set, and how many of its near misses are spoken (one in …); others none.
TWICE = {"tune": 2, "held-out": 2, "fresh": 2, "free": 1, "unseen": 2, **dict.fromkeys(BLIND, 1), "blind": 2}
NEAR_MISSES = {"tune": 1, "held-out": 1, "fresh": 1, "free": 3, "unseen": 1, **dict.fromkeys(BLIND, 2), "blind": 1}
#: Sketched texts that are kept of an utterance.
MAX_KEPT = 8
#: Hz, what the recognisers take.
RATE = 16_000

Line = dict[str, Any]


def utterances() -> Iterator[Line]:
    """What is spoken, and by whom."""
    for which in SETS:
        for number, command in enumerate(commands(which)):
            for voice in (VOICES[number % 6], VOICES[(number + 3) % 6])[: TWICE.get(which, 0)]:
                yield {"set": which, "kind": "command", "text": command.text, "voice": voice}
        if step := NEAR_MISSES.get(which):
            for number, text in enumerate(lines(f"near-misses-{which}.txt")[::step]):
                yield {"set": which, "kind": "near miss", "text": text, "voice": VOICES[number % 4]}
    for text in lines("fillers.txt"):
        for voice in VOICES[:4]:
            yield {"set": "tune", "kind": "filler", "text": text, "voice": voice}


def spoken(text: str, voice: str, folder: Path) -> bytes:
    """`text` as mono PCM16 at 16 kHz, with a little silence around it."""
    path = folder / "say.wav"
    engine, name = voice.split()
    argv = {
        "flite": ["flite", "-voice", name, "-t", text, "-o", str(path)],
        "espeak": ["espeak-ng", "-v", name, "-w", str(path), text],
    }[engine]
    subprocess.run(argv, check=True, capture_output=True)
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32)
    places = np.arange(0, len(sound) - 1, rate / RATE)
    silence = np.zeros(RATE // 5)
    return (
        np.concatenate([silence, np.interp(places, np.arange(len(sound)), sound), silence]).astype(np.int16).tobytes()
    )


class Models:
    """Both models; an `Ears` that writes down what it answers."""

    def __init__(self, folder: Path) -> None:
        weights = Weights(folder / "models")
        weights.install(models=(TINY, BASE))
        self._folder = folder
        self._tiny, self._base = WhisperModel(weights.find(TINY), 0.6, 1), WhisperModel(weights.find(BASE), 0.55, 2)
        self.line: Line = {}
        self._over: Matcher

    def hear(self, line: Line, over: Matcher) -> Hearing:
        """The hearing of an utterance; what the line does not know yet is found out as it is asked for."""
        self.line, self._over = line, over
        line["weights"], line["sketches"] = {}, {}
        if "tiny" not in line:
            look = self._tiny.look(self._pcm)
            line["tiny"], line["no_speech"] = kept(look), round(look.no_speech_prob, 3)
        return Hearing(look_of(line["tiny"]), b"kept", self)

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        """The better model's look."""
        if "base" not in self.line:
            self.line["base"] = kept(self._base.look(self._pcm, self._hint(heard).names))
        return look_of(self.line["base"])

    async def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
        """The better model's further looks."""
        if "further" not in self.line:
            hint, sound = self._hint(heard).requests, self._pcm
            self.line["further"] = [kept(self._base.look(sound, hint, tempo)) for tempo in FURTHER_TEMPOS]
        for look in self.line["further"]:
            yield look_of(look)

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """The weights by the small model; only the likeliest are kept, for there are many."""
        found = self._tiny.weigh(self._pcm, texts)
        likeliest = sorted(zip(found, texts, strict=True), key=lambda pair: -pair[0].log_prob)[:MAX_KEPT]
        self.line["sketches"] |= {
            text: [round(w.log_prob, 2), w.tokens] for w, text in [*likeliest, (found[-1], texts[-1])]
        }
        return found

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """The weights by the better model; those of the small one are kept beside them."""
        sound = self._pcm
        rows = list(zip(self._tiny.weigh(sound, texts), self._base.weigh(sound, texts), strict=True))
        self.line["weights"] |= {
            text: [[round(weight.log_prob, 2), weight.tokens] for weight in row]
            for text, row in zip(texts, rows, strict=True)
        }
        return [better for _, better in rows]

    def _hint(self, heard: str) -> Hint:
        return hint_of(self._over.hints(heard, MAX_HINTS), Vocabulary.templates.values())

    @property
    def _pcm(self) -> bytes:
        return spoken(self.line["text"], self.line["voice"], self._folder)


class Recorded:
    """An `Ears` that answers from a line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        #: Whether something was asked that the line does not know.
        self.is_short = "tiny" not in line

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        """The better model's look, if it was needed when the line was made."""
        if "base" not in self._line:
            self.is_short = True
            raise SpeechBusy("recorded", 0.0)
        return look_of(self._line["base"])

    async def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
        """The further looks, likewise."""
        if "further" not in self._line:
            self.is_short = True
            raise SpeechBusy("recorded", 0.0)
        for look in self._line["further"]:
            yield look_of(look)

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """Those that were kept are the likeliest."""
        if "sketches" not in self._line:
            self.is_short = True
            raise SpeechBusy("recorded", 0.0)
        known = {text: Weight(*row[0]) for text, row in self._line["weights"].items()}
        known |= {text: Weight(*row) for text, row in self._line["sketches"].items()}
        return [known.get(text, Weight(-1e6, 1)) for text in texts]

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """The weights; nothing is guessed for a wording that was not weighed."""
        if not set(texts) <= self._line["weights"].keys():
            self.is_short = True
            raise SpeechBusy("recorded", 0.0)
        return [Weight(*self._line["weights"][text][1]) for text in texts]


class Vocabulary:
    """The matcher of a set, as the front end asks it."""

    remotes: Sequence[str] = ()
    templates = load_catalog().templates

    def __init__(self, over: Matcher) -> None:
        self._over = over

    def understand(
        self, hypotheses: Sequence[tuple[str, float]], *, answer_expected: bool, is_typed: bool = False
    ) -> Match:
        """What is meant."""
        said = [Hypothesis(text=text, log_prob=log_prob) for text, log_prob in hypotheses]
        return self._over.match(said, answer_expected=answer_expected)

    def is_about_names(self, said: Sequence[str]) -> bool:
        """Whether something in the store is named in one of several hearings."""
        return self._over.is_about_names(said)

    def forbids(self, said: Sequence[str]) -> bool:
        """Whether one of several hearings asks for nothing, or takes something back."""
        return self._over.forbids(said)

    def closest(self, said: Sequence[str]) -> Sequence[Reading]:
        """The requests most like what was said."""
        return self._over.closest(said, SKETCHED, SKETCHED_RIVALS)

    def brief(self, said: Sequence[str]) -> Sequence[Reading]:
        """The nearest of what is said in a few words to ask for status, help and the like."""
        return self._over.brief(said, SKETCHED)

    def repaired(self, said: Sequence[str], heard: Sequence[str]) -> Sequence[Reading]:
        """The requests that a few misheard words make of what was said, those among all that was heard, and rivals."""
        return self._over.repaired(said, heard, REPAIRED, REPAIRED_RIVALS)


def meant(over: Matcher, hearing: Hearing) -> Match:
    """What the front end makes of a hearing."""
    understanding = Understanding(Vocabulary(over), lambda: False)
    understanding.listen_to(lambda: hearing)
    ear = understanding.take_heard()
    assert ear is not None
    return asyncio.run(ear.match(answer_expected=False))


def speak() -> None:
    """Complete the file: what stands in it is kept, what is missing is spoken; all of it takes half an hour."""
    known = {key(line): line for line in map(json.loads, HEARD.read_text().splitlines())} if HEARD.exists() else {}
    matchers = {which: matcher(which) for which in SETS}
    made = HEARD.with_suffix(".new")
    with TemporaryDirectory() as folder, made.open("w", encoding="utf-8") as out:
        models = Models(Path(folder))
        for said in utterances():
            line = known.get(key(said), said)
            if is_short(line, matchers[line["set"]]):
                meant(matchers[line["set"]], models.hear(line, matchers[line["set"]]))
            print(json.dumps(line), file=out, flush=True)
    made.replace(HEARD)


def is_short(line: Line, over: Matcher) -> bool:
    """Whether the front end would ask for something that the line does not know."""
    recorded = Recorded(line)
    if not recorded.is_short:
        meant(over, Hearing(look_of(line["tiny"]), b"kept", recorded))
    return recorded.is_short


def key(line: Mapping[str, object]) -> tuple[object, ...]:
    """What makes an utterance the same one."""
    return line["set"], line["kind"], line["text"], line["voice"]


def kept(look: Look) -> list[list[object]]:
    """What is kept of one look."""
    return [[text, round(score, 3)] for text, score in look.hypotheses]


def look_of(pairs: list[list[Any]]) -> Look:
    """The look that was kept."""
    return Look(tuple((str(text), float(score)) for text, score in pairs), 0.0)


def replay(*, show: bool, path: Path = HEARD, step: int = 1) -> dict[str, dict[str, int]]:
    """Count what the front end makes of what was heard: of all commands and fillers, and of one near miss in `step`."""
    matchers = {which: matcher(which) for which in SETS}
    wanted = {(which, command.text): command for which in SETS for command in commands(which)}
    counts: dict[str, Counter[str]] = {}
    for number, line in enumerate(map(json.loads, path.read_text(encoding="utf-8").splitlines())):
        if line["kind"] == "near miss" and number % step:
            continue
        found = meant(matchers[line["set"]], Hearing(look_of(line["tiny"]), b"kept", Recorded(line)))
        tally = counts.setdefault(f"{line['set']} {line['kind']}", Counter())
        tally["utterances"] += 1
        if line["kind"] == "command":
            result = settled(found, wanted[line["set"], line["text"]])
        else:
            result = {MatchKind.ACCEPT: "accepted", MatchKind.DOUBTFUL: "asked"}.get(found.kind, "refused")
        tally[result] += 1
        if show and result not in {"right", "refused"}:
            heard = line["tiny"][0][0] if line["tiny"] else ""
            tell(f"{line['kind']} {result}", f"{line['text']} | {line['voice']} | {heard}", found)
    return {name: dict(sorted(tally.items())) for name, tally in counts.items()}


def settled(found: Match, command: Command) -> str:
    """The verdict; a phrase that was misheard in the right request is told apart from a wrong task."""
    result = verdict(found, command)
    if result == "wrong" and found.best and not is_wrong_task(found, command, {found.best.intent}):
        return "right_but_phrase"
    return result


if __name__ == "__main__":
    if sys.argv[1:2] == ["speak"]:
        speak()
    else:
        print(json.dumps(replay(show="--show" in sys.argv), indent=2))
