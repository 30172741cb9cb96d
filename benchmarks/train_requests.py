"""Learns the model of free requests (`schemas/request_model.py`) from corpora; takes three minutes.

This is the half that sees the words; `train_meaning.py` learns the other one. Nothing in it is left to chance: the same
corpora give the same file.

Usage: python -m benchmarks.train_requests
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from benchmarks.lessons import LEARNED, LEARNED_TOLD, Kind, Sample, cuts, samples, told
from benchmarks.train_phrases import phrases, train_phrases
from infra.template_catalog import load_catalog, shipped_folder
from schemas.request_model import NOTHING, WIDTH, Features, RequestModel, features, mark
from voice.bot.requests import FILE, STEP

#: How much a sentence counts: of pieces there are many.
COUNTS = {Kind.COMMAND: 3.0, Kind.NOTHING: 1.0, Kind.PIECE: 0.02}
#: How often it learns anew with pieces that it took for other commands, as sentences that ask for nothing, and from
#: which probability on.
ROUNDS, _MISTAKEN = 2, 0.3
EPOCHS, RATE, BIAS_RATE = 20, 0.5, 0.02
#: Largest weight that is kept, in steps.
_MOST = 127


def mistaken(model: RequestModel, pieces: Sequence[Sample]) -> Iterator[Sample]:
    """Pieces of commands that it takes for other ones: to be learned as nothing."""
    for piece in pieces:
        sure = model.by_words(_seen(piece.words))
        label = model.labels[int(sure.argmax())]
        if label not in {NOTHING, piece.label} and np.exp(sure.max()) >= _MISTAKEN:
            yield Sample(piece.words, NOTHING, Kind.NOTHING)


@cache
def _seen(words: tuple[str, ...]) -> Features:
    return features(words)


def train(learned: Sequence[Sample]) -> RequestModel:
    """Softmax regression by stochastic gradient descent with a rate of its own for each feature (Adagrad)."""
    labels = tuple(sorted({sample.label for sample in learned}))
    number = {label: place for place, label in enumerate(labels)}
    weights, bias = np.zeros((WIDTH, len(labels)), np.float32), np.zeros(len(labels), np.float32)
    moved = np.full((WIDTH, 1), 1e-6, np.float32)
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for place in rng.permutation(len(learned)).tolist():
            seen = _seen(learned[place].words)
            scale = 1 / np.sqrt(len(seen))
            scores = bias + scale * weights[seen].sum(axis=0)
            wrong = np.exp(scores - scores.max())
            wrong /= wrong.sum()
            wrong[number[learned[place].label]] -= 1
            wrong *= COUNTS[learned[place].kind]
            slope = scale * wrong
            moved[seen] += slope @ slope
            weights[seen] -= RATE * slope / np.sqrt(moved[seen])
            bias -= BIAS_RATE * wrong
    return RequestModel(labels, weights, bias)


def _in_steps(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    return np.clip(np.round(weights / STEP), -_MOST, _MOST).astype(np.int8)


def main() -> None:
    """Learn and keep it."""
    each = [sample for which in LEARNED for sample in samples(which)]
    each += [sample for which in LEARNED_TOLD for sample in told(which)]
    # The same piece of many commands says no more than that of one.
    learned = list({(sample.words, sample.label): sample for sample in each}.values())
    pieces = [piece for which in LEARNED for piece in cuts(which)]
    model = train(learned)
    for _ in range(ROUNDS):
        learned += mistaken(model, pieces)
        model = train(learned)
    sought = train_phrases([phrase for which in LEARNED for phrase in phrases(which)])
    weights, sought = (
        np.clip(np.round(each / STEP), -_MOST, _MOST).astype(np.int8) for each in (model.weights, sought)
    )
    path = shipped_folder() / FILE
    templates = load_catalog().templates
    marks = [mark(templates[label]) if label in templates else 0 for label in model.labels]
    np.savez_compressed(
        path, labels=np.array(model.labels), weights=weights, bias=model.bias, marks=marks, phrases=sought
    )
    print(f"{path}: {len(learned)} sentences, {len(model.labels)} labels, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
