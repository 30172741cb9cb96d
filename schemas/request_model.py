"""Which kind of request a sentence is, learned from sentences: by its words, and by what it means.

Rules know what people may say, a model what people are like to mean: "pop the diary in a zip" is near no form, and near
many sentences that ask for the same. Names are taken out before: it learns nothing of them. Two softmax regressions are
averaged, since they err in different places. One sees runs of up to three words and pieces of three and four letters,
hashed (Weinberger et al., ICML 2009); `benchmarks/train_requests.py` learns it. The other sees what a sentence encoder
makes of the whole, which has read much more than our corpora; `benchmarks/train_meaning.py` learns it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from zlib import crc32

import numpy as np
import numpy.typing as npt

from schemas.mentions import Mention
from schemas.number_words import is_number_word
from schemas.phrase_model import PhraseModel
from schemas.template import Template

#: Weights of one label.
WIDTH = 1 << 15
#: The label of what asks for nothing.
NOTHING = "none"
#: Words of a run, and letters of a piece, at most; and at least of a piece.
_RUN, _PIECE, _LEAST_PIECE = 3, 4, 3
#: What stands for names and numbers.
OBJECT, FOLDER, NUMBER = "OBJECT", "FOLDER", "NUMBER"
_NAMES = {"object": OBJECT, "folder": FOLDER}

Features = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]


class Encoder(Protocol):
    """What a sentence means, as a vector."""

    def __call__(self, words: tuple[str, ...]) -> Float32:
        """The vector of a sentence of at least one word, as `masked` gives it."""
        ...


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence asks for by its meaning: `weights` of shape (size of a vector, labels), `bias` of (labels)."""

    encoder: Encoder
    weights: Float32
    bias: Float32

    def scores(self, words: tuple[str, ...]) -> Float32:
        """A score for each label."""
        return self.bias + np.dot(self.encoder(words), self.weights)


class Prediction(NamedTuple):
    """The likeliest label, its probability, 0 to 1, and that of the half of the model that doubts it most."""

    label: str
    probability: float
    least: float


@dataclass(frozen=True, slots=True)
class RequestModel:
    """`weights` of shape (WIDTH, labels), `bias` of shape (labels).

    `marks` say by which forms it knew the templates: under the same name there may be another one. `phrases` tell free
    text; without them a request that takes some is not guessed. Without `meaning` it knows the words alone.
    """

    labels: tuple[str, ...]
    weights: Float32
    bias: Float32
    marks: Mapping[str, int] = field(default_factory=dict[str, int])
    phrases: PhraseModel | None = None
    meaning: Meaning | None = None

    def knows(self, template: Template) -> bool:
        """Whether it was taught this template, not another of its name."""
        return self.marks.get(template.name) == mark(template)

    def predict(self, said: Sequence[str], names: Sequence[Mention]) -> Prediction:
        """What a sentence is likely to ask for."""
        words = masked(said, names)
        sure = least = self.by_words(features(words))
        if self.meaning is not None and words:
            meant = _log_softmax(self.meaning.scores(words))
            sure, least = _log_softmax((sure + meant) * np.float32(0.5)), np.minimum(sure, meant)
        best = int(sure.argmax())
        return Prediction(self.labels[best], float(np.exp(sure[best])), float(np.exp(least[best])))

    def by_words(self, features: Features) -> Float32:
        """The logarithms of the probabilities of the labels, as far as its words tell."""
        return _log_softmax(self.bias + self.weights[features].sum(axis=0) / np.sqrt(max(len(features), 1)))


def _log_softmax(scores: Float32) -> Float32:
    shifted = scores - scores.max()
    return shifted - np.log(np.exp(shifted).sum())


def mark(template: Template) -> int:
    """By what a template is known: what it is asked with, and what it takes."""
    kinds = [f"{name}:{parameter.type}:{parameter.is_required}" for name, parameter in template.parameters.items()]
    return crc32("\n".join([template.name, *kinds, *template.patterns]).encode())


def features(sentence: Sequence[str]) -> Features:
    """What the model sees of the words of a sentence: the numbers of its features, each once, in order."""
    words = ["^", *sentence, "$"]
    found = {
        crc32(" ".join(words[start : start + count]).encode()) % WIDTH
        for count in range(1, _RUN + 1)
        for start in range(len(words) - count + 1)
    }
    for word in words[1:-1]:
        if word.islower():
            found.update(crc32(f"#{piece}".encode()) % WIDTH for piece in _pieces(f" {word} "))
    return np.array(sorted(found), np.int64)


def masked(said: Sequence[str], names: Sequence[Mention]) -> tuple[str, ...]:
    """The words with a sign for each name and each number."""
    return tuple(_masked(said, names))


def _masked(said: Sequence[str], names: Sequence[Mention]) -> Iterator[str]:
    ends = {one.start: one for one in names}
    place, last = 0, ""
    while place < len(said):
        if place in ends:
            last = _NAMES[ends[place].kind]
            place = ends[place].end
        else:
            word = said[place]
            is_next = is_number_word(word) and last == NUMBER
            last = NUMBER if is_number_word(word) and word != "one" else word
            place += 1
            if is_next:
                continue
        yield last


def _pieces(word: str) -> Iterator[str]:
    for count in range(_LEAST_PIECE, _PIECE + 1):
        for start in range(len(word) - count + 1):
            yield word[start : start + count]
