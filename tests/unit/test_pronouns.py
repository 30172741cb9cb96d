"""A request that only points to what was named before it is understood, and nothing else is made of two sentences."""

from __future__ import annotations

import pytest

from infra.template_catalog import load_catalog
from schemas.match import MatchKind
from schemas.utterance import Matcher

MATCHER = Matcher(
    load_catalog(),
    (
        "sisyphus:letters/supplier-letters.txt",
        "sisyphus:letters/field-trip.txt",
        "sisyphus:sales/price-list-2023.csv",
        "sisyphus:sales/price-list-2024.csv",
        "sisyphus:shop/stock-list.csv",
    ),
)
LETTERS, TRIP = "sisyphus:letters/supplier-letters.txt", "sisyphus:letters/field-trip.txt"
PRICES, STOCK = "sisyphus:sales/price-list-2023.csv", "sisyphus:shop/stock-list.csv"


@pytest.mark.parametrize(
    ("said", "intent", "values"),
    [
        ("i have to mail the supplier letters so zip them up please", "compress", {LETTERS}),
        ("i want to be sure nobody touched the field trip so work out its checksum", "checksum", {TRIP}),
        ("the field trip feels a bit long how many words are in there", "count-words", {TRIP}),
        ("the supplier letters are huge squash them down", "compress", {LETTERS}),
        ("what do the columns in the stock list look like just give me a summary", "summarize-table", {STOCK}),
        ("put the supplier letters next to the field trip and compare the two", "compare", {LETTERS, TRIP}),
        ("i don't trust the stock list so audit it slowly", "slow-audit", {STOCK}),
        ("the letters folder is too big so zip it", "compress-folder", {"sisyphus:letters/"}),
        ("my boss wants the price list twenty twenty three so give me its checksum", "checksum", {PRICES}),
    ],
)
def test_what_was_named_before_is_what_is_meant(said: str, intent: str, values: set[str]) -> None:
    """Typed, so that nothing can have been misheard."""
    match = MATCHER.match(said)
    assert (match.kind, match.intent) == (MatchKind.ACCEPT, intent), match
    assert match.best is not None
    assert set(match.best.slots.values()) == values


@pytest.mark.parametrize(
    "said",
    [
        "i opened the supplier letters and my sister compressed them",
        "the supplier letters are so long that nobody counts the words in them",
        "if the field trip is too long compress it",
        "don't open the field trip and count the words in it",
        "she read the field trip and wants to compress it",
        "he said the field trip is here so zip it",
        "the stock list is missing so give me a break",
        "i lost the stock list and it hurts",
        "i like the field trip because it is easy to summarize it",
        "you never compress the field trip and i count on it",
    ],
)
def test_two_sentences_that_ask_for_nothing_start_nothing(said: str) -> None:
    """A name in one half and a verb in the other make no request."""
    assert MATCHER.match(said).kind is not MatchKind.ACCEPT


def test_a_number_that_is_said_twice_is_no_stutter() -> None:
    """ "Twenty twenty three" is a year, "the the" is one word."""
    match = MATCHER.match("count the the words in the price list twenty twenty three")
    assert match.kind is MatchKind.ACCEPT
    assert match.best is not None
    assert match.best.slots == {"source": PRICES}


def test_a_number_that_was_said_is_not_left_out() -> None:
    """With and without it the form fits equally well; what was said counts."""
    match = MATCHER.match("what are the four words that are most frequent in the field trip")
    assert match.kind is MatchKind.ACCEPT
    assert match.best is not None
    assert match.best.slots == {"source": TRIP, "count": "4"}
