"""Which words of a request are the free text that it is about: "see whether hip replacement comes up in the claims".

A linear model scores every run of words outside the names by the words around it, its ends and its length; learned by
`benchmarks/train_phrases.py` from requests to find a phrase. Small and deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from schemas.mentions import Mention
from schemas.small_words import GLUE

#: Weights.
WIDTH = 1 << 14
#: Words that a phrase has at most.
MAX_WORDS = 6
#: What stands for a name and for both ends of what was said.
_NAME, _END = "NAME", "$"


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words ``start:end``, and how sure the model is of them, 0 to 1."""

    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class PhraseModel:
    """`weights` of shape (WIDTH,)."""

    weights: npt.NDArray[np.float32]

    def find(self, said: Sequence[str], names: Sequence[Mention]) -> Phrase | None:
        """The likeliest phrase; None where every word is a name.

        Args:
            said: the words.
            names: where names stand in them.
        """
        spans = list(runs(said, names))
        if not spans:
            return None
        scores = np.array([self.weights[seen(said, names, *span)].sum() for span in spans], np.float32)
        odds = np.exp(scores - scores.max())
        best = int(odds.argmax())
        return Phrase(*spans[best], float(odds[best] / odds.sum()))


def runs(said: Sequence[str], names: Sequence[Mention]) -> Iterator[tuple[int, int]]:
    """Every run of words that may be a phrase."""
    inside = {place for one in names for place in range(one.start, one.end)}
    for start in range(len(said)):
        for end in range(start + 1, min(start + MAX_WORDS, len(said)) + 1):
            if end - 1 in inside:
                break
            yield start, end


def seen(said: Sequence[str], names: Sequence[Mention], start: int, end: int) -> npt.NDArray[np.int64]:
    """What the model sees of one run: the numbers of its features."""
    before, behind = _context(said, names, start, -1), _context(said, names, end, 1)
    first, last = said[start], said[end - 1]
    small = sum(word in GLUE for word in said[start:end])
    features = [
        f"<{before[0]}",
        f"<<{before[1]} {before[0]}",
        f"<<<{before[2]} {before[1]} {before[0]}",
        f">{behind[0]}",
        f">>{behind[0]} {behind[1]}",
        f"<>{before[0]} {behind[0]}",
        f"[{first}",
        f"]{last}",
        f"<[{before[0]} {first}",
        f"]>{last} {behind[0]}",
        f"#{end - start}",
        f"small{small}",
        f"ends{first in GLUE}{last in GLUE}",
    ]
    features += [f"in {word}" for word in said[start:end]]
    return np.array([crc32(feature.encode()) % WIDTH for feature in features], np.int64)


def _context(said: Sequence[str], names: Sequence[Mention], place: int, step: int) -> tuple[str, str, str]:
    """Three words before (step -1) or behind (1) a place, a name being one."""
    found: list[str] = []
    while len(found) < 3:
        word = place - 1 if step < 0 else place
        if not 0 <= word < len(said):
            found.append(_END)
            continue
        name = next((one for one in names if one.start <= word < one.end), None)
        found.append(said[word] if name is None else _NAME)
        place = place + step if name is None else name.start if step < 0 else name.end
    return found[0], found[1], found[2]
