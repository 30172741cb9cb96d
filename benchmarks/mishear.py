"""What the small recogniser makes of the learned sentences, each spoken once: benchmarks/corpus/misheard.jsonl.

What it writes as they are is left out. Of sentences that are in the file nothing new is heard. Some ten a second; needs
flite and espeak-ng, as `hear_corpus.py` does.

Usage: python -m benchmarks.mishear
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.hear_corpus import VOICES, spoken
from benchmarks.lessons import LEARNED, LEARNED_TOLD
from benchmarks.matching import CORPUS, commands, lines
from schemas.request_model import NOTHING
from schemas.wording import heard
from voice.services.weight_pins import TINY
from voice.services.weights import Weights
from voice.services.whisper_model import WhisperModel

MISHEARD = CORPUS / "misheard.jsonl"
#: As the front end loads it.
_SILENCE, _THREADS = 0.6, 1


def sentences() -> Iterator[tuple[str, str, str]]:
    """Set, label and text of all that is learned."""
    for which in LEARNED:
        yield from ((which, command.intent, command.text) for command in commands(which))
    for which in (*LEARNED, *LEARNED_TOLD):
        yield from ((which, NOTHING, text) for text in lines(f"near-misses-{which}.txt"))


def main() -> None:
    """Hear the sets that are not in the file yet, and add what came of them."""
    kept = [json.loads(line) for line in lines(MISHEARD.name)] if MISHEARD.exists() else []
    known = {line["set"] for line in kept}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tiny = WhisperModel(Weights(folder).find(TINY), _SILENCE, _THREADS)
        for number, (which, label, text) in enumerate(sentences()):
            if which in known:
                continue
            found = tiny.look(spoken(text, VOICES[number % len(VOICES)], folder)).hypotheses
            if found and heard(found[0][0]).words != heard(text).words:
                kept.append({"set": which, "label": label, "heard": found[0][0]})
    kept.sort(key=lambda line: (line["set"], line["label"], line["heard"]))
    MISHEARD.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
    print(f"{MISHEARD}: {len(kept)} sentences")


if __name__ == "__main__":
    main()
