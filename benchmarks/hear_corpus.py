"""Speaks the corpora with offline voices and keeps what the recognisers heard, as benchmarks/corpus/heard.jsonl.

Needs flite, espeak-ng and the speech weights. One line per utterance: set, kind, text, voice, and the hypotheses of the
small model, and of the better one where the first look is not sure. `replay` runs the matcher over such a file, so that
tests need no audio.

Usage: python -m benchmarks.hear_corpus speak | replay [--show]
"""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.matching import CORPUS, SETS, Command, commands, is_wrong_task, lines, matcher, tell, verdict
from schemas.match import Hypothesis, Match, MatchKind
from schemas.utterance import Matcher
from voice.bot.understanding import settle
from voice.services.hearing import Look
from voice.services.weight_pins import BASE, TINY
from voice.services.weights import Weights
from voice.services.whisper_model import WhisperModel

HEARD = CORPUS / "heard.jsonl"
VOICES = ("flite rms", "flite slt", "flite awb", "flite kal16", "espeak en-us", "espeak en-gb")
#: Hz, what the recognisers take.
RATE = 16_000


def utterances() -> Iterator[dict[str, Any]]:
    """What is spoken, and by whom: every command by two voices, the rest by one or more."""
    for which in SETS:
        for number, command in enumerate(commands(which)):
            for voice in (VOICES[number % 6], VOICES[(number + 3) % 6]):
                yield {"set": which, "kind": "command", "text": command.text, "voice": voice}
        for number, text in enumerate(lines(f"near-misses-{which}.txt")):
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


def speak() -> None:
    """Complete the file: what stands in it is kept, what is missing is spoken; all of it takes fifteen minutes."""
    known = {key(line): line for line in map(json.loads, HEARD.read_text().splitlines())} if HEARD.exists() else {}
    matchers = {which: matcher(which) for which in SETS}
    with TemporaryDirectory() as folder, HEARD.open("w", encoding="utf-8") as out:
        weights = Weights(Path(folder) / "models")
        weights.install(models=(TINY, BASE))
        tiny, base = WhisperModel(weights.find(TINY), 0.6, 1), WhisperModel(weights.find(BASE), 0.55, 2)
        for said in utterances():
            line = known.get(key(said), said)
            if "tiny" not in line:
                line["tiny"] = looked(tiny.look(spoken(line["text"], line["voice"], Path(folder))))
            is_sure = not matchers[line["set"]].match(hypotheses(line["tiny"])).wants_second_look
            if "base" not in line and line["tiny"] and not is_sure:
                line["base"] = looked(base.look(spoken(line["text"], line["voice"], Path(folder))))
            print(json.dumps(line), file=out, flush=True)


def key(line: Mapping[str, object]) -> tuple[object, ...]:
    """What makes an utterance the same one."""
    return line["set"], line["kind"], line["text"], line["voice"]


def looked(look: Look) -> list[list[object]]:
    """What is kept of one look."""
    return [[text, round(score, 3)] for text, score in look.hypotheses]


def hypotheses(pairs: list[list[object]]) -> list[Hypothesis]:
    """The hypotheses of one look."""
    return [Hypothesis(text=str(text), log_prob=float(str(score))) for text, score in pairs]


def replay(*, show: bool, path: Path = HEARD) -> dict[str, dict[str, int]]:
    """Match everything that was heard: the small model first, the better one when the match is not sure."""
    matchers = {which: matcher(which) for which in SETS}
    wanted = {(which, command.text): command for which in SETS for command in commands(which)}
    counts: dict[str, Counter[str]] = {}
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(raw)
        found, looks = look_twice(matchers[line["set"]], line)
        tally = counts.setdefault(f"{line['set']} {line['kind']}", Counter())
        tally["utterances"] += 1
        tally["second_looks"] += looks - 1
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


def look_twice(over: Matcher, line: Mapping[str, list[list[object]]]) -> tuple[Match, int]:
    """The verdict by the rule of the voice front end, and how many looks it took."""
    first = over.match(hypotheses(line["tiny"]))
    if not line["tiny"] or not line.get("base") or not first.wants_second_look:
        return first, 1
    return settle(first, over.match(hypotheses(line["base"]))), 2


if __name__ == "__main__":
    if sys.argv[1:2] == ["speak"]:
        speak()
    else:
        print(json.dumps(replay(show="--show" in sys.argv), indent=2))
