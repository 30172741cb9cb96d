"""Learns the model of free requests (`schemas/request_model.py`) from corpora; takes two minutes.

It learns from the sets `LEARNED` and `LEARNED_TOLD`, never from held-out, fresh, free, unseen and those called blind.
Nothing in it is left to chance: the same corpora give the same file.

Usage: python -m benchmarks.train_requests
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.matching import LOOSE, Command, commands, fragments, lines, matcher
from benchmarks.train_phrases import phrases, train_phrases
from infra.template_catalog import load_catalog, shipped_folder
from schemas.guess import LEAST_NAME
from schemas.match import MatchKind
from schemas.mentions import mentions
from schemas.request_model import NOTHING, WIDTH, Features, RequestModel, features, mark
from schemas.utterance import Matcher
from schemas.wording import heard
from voice.bot.requests import FILE, STEP

#: The sets that it learns from.
LEARNED = ("tune", "wide", *LOOSE)
LEARNED_TOLD = ("told1", "told2", "told3", "told4")
#: How much a command counts, and a piece of one, beside a sentence that asks for nothing: of pieces there are many.
COMMAND, PIECE = 3.0, 0.02
#: How often it learns anew with pieces that it took for other commands, how much these count, from which probability.
ROUNDS, MISTAKEN, _MISTAKEN = 2, 1.0, 0.3
EPOCHS, RATE, BIAS_RATE = 20, 0.5, 0.02
#: Words, a name being one, of a beginning or an ending that is learned as nothing.
_FRAGMENT = 4
#: Largest weight that is kept, in steps.
_MOST = 127


@dataclass(frozen=True, slots=True)
class Sample:
    """A sentence as the model sees it, and what it is."""

    features: Features
    label: str
    weight: float = 1.0


def samples(which: str) -> Iterator[Sample]:
    """The commands of a set, its near misses, and short pieces of commands, which ask for nothing."""
    over = matcher(which, has_model=False)
    for command in commands(which):
        yield Sample(seen(over, command.text), command.intent, COMMAND)
        yield from (Sample(seen(over, piece), NOTHING, PIECE) for piece in pieces(over, command))
    denied = lines("near-misses-taken-back.txt") if which == "tune" else []
    for text in (*lines(f"near-misses-{which}.txt"), *denied):
        yield Sample(seen(over, text), NOTHING)


def told(which: str) -> Iterator[Sample]:
    """Sentences that only sound like requests."""
    over = matcher(which, has_model=False)
    for text in lines(f"near-misses-{which}.txt"):
        yield Sample(seen(over, text), NOTHING)


def seen(over: Matcher, text: str) -> Features:
    """What the model sees of a text."""
    said = heard(text).without_courtesy().words
    return features(said, mentions(said, over.lexicons, LEAST_NAME))


def pieces(over: Matcher, command: Command) -> Iterator[str]:
    """Short beginnings and endings that are no request by themselves, and what is left of a pair without one of it."""
    for piece in fragments(command):
        said = heard(piece).words
        named = mentions(said, over.lexicons, LEAST_NAME)
        count = len(said) - sum(one.end - one.start - 1 for one in named)
        is_half = command.intent == "compare" and len(named) == 1
        if (count <= _FRAGMENT or is_half) and over.match(piece).kind is not MatchKind.ACCEPT:
            yield piece


def cuts(which: str) -> Iterator[Sample]:
    """Every beginning and ending of the commands of a set, under the label of the command."""
    over = matcher(which, has_model=False)
    for command in commands(which):
        said = heard(command.text).without_courtesy().words
        names = mentions(said, over.lexicons, LEAST_NAME)
        for cut in range(1, len(said)):
            head = [one for one in names if one.end <= cut]
            tail = [replace(one, start=one.start - cut, end=one.end - cut) for one in names if one.start >= cut]
            yield Sample(features(said[:cut], head), command.intent)
            yield Sample(features(said[cut:], tail), command.intent)


def mistaken(model: RequestModel, pieces: Sequence[Sample]) -> Iterator[Sample]:
    """Pieces of commands that it takes for other ones: to be learned as nothing."""
    for piece in pieces:
        label, probability = model.predict(piece.features)
        if label not in {NOTHING, piece.label} and probability >= _MISTAKEN:
            yield Sample(piece.features, NOTHING, MISTAKEN)


def train(learned: Sequence[Sample]) -> RequestModel:
    """Softmax regression by stochastic gradient descent with a rate of its own for each feature (Adagrad)."""
    labels = tuple(sorted({sample.label for sample in learned}))
    number = {label: place for place, label in enumerate(labels)}
    weights, bias = np.zeros((WIDTH, len(labels)), np.float32), np.zeros(len(labels), np.float32)
    moved = np.full((WIDTH, 1), 1e-6, np.float32)
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for place in rng.permutation(len(learned)).tolist():
            seen, scale = learned[place].features, 1 / np.sqrt(len(learned[place].features))
            scores = bias + scale * weights[seen].sum(axis=0)
            wrong = np.exp(scores - scores.max())
            wrong /= wrong.sum()
            wrong[number[learned[place].label]] -= 1
            wrong *= learned[place].weight
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
    learned = list({(sample.features.tobytes(), sample.label): sample for sample in each}.values())
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
