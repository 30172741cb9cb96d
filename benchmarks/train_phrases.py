"""Learns which words of a request are the phrase that it looks for (`schemas/phrase_model.py`), from corpora."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.matching import commands, matcher
from schemas.guess import LEAST_NAME
from schemas.mentions import mentions
from schemas.phrase_model import WIDTH, runs, seen
from schemas.wording import heard

EPOCHS, RATE = 12, 0.5
#: The parameter that the corpora call a phrase.
_PHRASE = "phrase"


@dataclass(frozen=True, slots=True)
class Sought:
    """What the model sees of every run of a request's words, and which of them are the phrase."""

    runs: Sequence[npt.NDArray[np.int64]]
    is_phrase: npt.NDArray[np.bool_]


def phrases(which: str) -> Iterator[Sought]:
    """The requests of a set whose phrase stands among their words."""
    over = matcher(which, has_model=False)
    for command in commands(which):
        said = heard(command.text).without_courtesy().words
        names = mentions(said, over.lexicons, LEAST_NAME)
        wanted = heard(command.slots.get(_PHRASE, "")).words
        spans = list(runs(said, names))
        is_phrase = np.array([said[start:end] == wanted for start, end in spans], np.bool_)
        if is_phrase.any():
            yield Sought([seen(said, names, *span) for span in spans], is_phrase)


def train_phrases(learned: Sequence[Sought]) -> npt.NDArray[np.float32]:
    """Softmax over the runs of each request, by stochastic gradient descent (Adagrad); weights of shape (WIDTH,)."""
    weights, moved = np.zeros(WIDTH, np.float32), np.full(WIDTH, 1e-6, np.float32)
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for place in rng.permutation(len(learned)).tolist():
            sought = learned[place]
            scores = np.array([weights[run].sum() for run in sought.runs])
            odds = np.exp(scores - scores.max())
            odds /= odds.sum()
            # A phrase that is said twice is the phrase in both places.
            meant = odds * sought.is_phrase / (odds * sought.is_phrase).sum()
            slope = np.zeros(WIDTH, np.float32)
            for run, wrong in zip(sought.runs, odds - meant, strict=True):
                np.add.at(slope, run, wrong)
            moved += slope * slope
            weights -= RATE * slope / np.sqrt(moved)
    return weights
