"""The model of free requests sees no names, learns what it is taught, and ships as the corpora teach it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.lessons import LEARNED, Kind, Sample, samples
from benchmarks.train_requests import train
from infra.template_catalog import load_catalog
from schemas.control import CONTROLS
from schemas.match import MatchKind
from schemas.mentions import mentions
from schemas.request_model import NOTHING, WIDTH, Meaning, RequestModel, features, masked
from schemas.utterance import Matcher
from schemas.wording import heard
from voice.bot.requests import packaged_model

REMOTES = ("sisyphus:shop/till-errors.log", "sisyphus:diary/leek-diary.txt")
MATCHER = Matcher(load_catalog(), REMOTES, packaged_model())


def test_names_and_numbers_are_nothing_to_learn_from() -> None:
    """Sentences that differ in them alone are the same to the model."""

    def seen(text: str) -> tuple[str, ...]:
        said = heard(text).words
        return masked(said, mentions(said, MATCHER.lexicons, 85.0))

    assert seen("zip the leek diary") == seen("zip the till errors") != seen("zip the shop folder")
    assert seen("the twenty five top words") == seen("the 300 top words")
    assert max(features(seen("zip the leek diary"))) < WIDTH


def test_a_model_of_nothing_guesses_nothing() -> None:
    """All labels equally likely."""
    blank = RequestModel((NOTHING, "compress"), np.zeros((WIDTH, 2), np.float32), np.zeros(2, np.float32))
    assert Matcher(load_catalog(), REMOTES, blank).match("pop the leek diary in a zip").kind is not MatchKind.ACCEPT


def test_the_model_that_ships_is_what_the_corpora_teach() -> None:
    """One that sees sentences in another way, or knows other templates, would be as good as none."""
    taught = [sample for which in LEARNED[-2:] for sample in samples(which) if sample.kind is not Kind.PIECE]
    model = packaged_model()
    assert model.meaning is not None
    for half in (lambda words: model.by_words(features(words)), model.meaning.scores):
        agreed = [model.labels[int(half(sample.words).argmax())] == sample.label for sample in taught]
        assert sum(agreed) >= 0.95 * len(taught)
    assert set(model.labels) - {NOTHING} <= {*load_catalog().templates, *CONTROLS}


def test_a_model_learns_what_it_is_taught() -> None:
    """A few sentences of two kinds, and one that is new."""
    taught = [
        Sample(("pop", "it", "in"), "compress", Kind.COMMAND),
        Sample(("it", "was", "nice"), NOTHING, Kind.NOTHING),
    ] * 20
    assert train(taught).predict(("now", "pop", "it"), ())[0] == "compress"


def test_words_and_meaning_are_heard_alike() -> None:
    """Where they disagree, neither is sure; where there is no meaning, the words decide."""
    words = np.zeros((WIDTH, 2), np.float32)
    words[features(("pop",))] = [0.0, 2.0]
    by_words = RequestModel((NOTHING, "compress"), words, np.zeros(2, np.float32))
    meaning = Meaning(lambda words: np.ones(1, np.float32), np.array([[9.0, 0.0]], np.float32), np.zeros(2, np.float32))
    assert by_words.predict(("pop",), ())[0] == "compress"
    both = replace(by_words, meaning=meaning).predict(("pop",), ())
    assert both[0] == NOTHING
    assert both[1] < float(np.exp(meaning.scores(("pop",))[0]) / np.exp(meaning.scores(("pop",))).sum())
