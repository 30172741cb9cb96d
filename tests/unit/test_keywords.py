"""Free wordings: what is understood by its key words alone, and which words are in the way."""

from __future__ import annotations

import pytest

from benchmarks.matching import lines, matcher
from infra.template_catalog import load_catalog
from schemas.beginnings import beginnings, without_purpose
from schemas.free_text import text_span
from schemas.grammar import Grammar
from schemas.keywords import MAX_LAYOUTS, Keywords
from schemas.match import Hypothesis, MatchKind
from schemas.strangers import is_literal, is_shortened, strangers
from schemas.utterance import Matcher

MATCH = matcher("tune").match


def said(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("i need a compressed version of the annual report", "compress"),
        ("the annual report, could you zip that up for me please", "compress"),
        ("open the annual report and count its words", "count-words"),
        ("my editor wants to know how many words the annual report has", "count-words"),
        ("to save some space zip the error log", "compress"),
        ("we're running low so please compress the error log", "compress"),
        ("count the words in the annual report so i know how long it is", "count-words"),
        ("take your time and audit the error log thoroughly", "slow-audit"),
        ("how's the table summary coming along", "status"),
    ],
)
def test_no_pattern_is_needed(text: str, intent: str) -> None:
    """Key words in order, a known name, and small words: that is a request, however it is worded."""
    found = MATCH(text)
    assert (found.kind, found.intent) == (MatchKind.ACCEPT, intent)


@pytest.mark.parametrize(
    "text",
    [
        "delete everything in the letters folder",
        "unzip the error log",
        "how many pages are in the annual report",
        "she compressed the error log",
        "the annual report is compressed",
        "is the annual report zipped",
        "don't compress the error log please",
        "you can count on the annual report",
        "edit the annual report",
        "i counted the words in the annual report this morning",
        "anna searched the error log for a paper jam",
    ],
)
def test_one_word_that_nothing_explains_is_in_the_way(text: str) -> None:
    """However near the rest is: it is asked back at most."""
    assert MATCH(text).kind is not MatchKind.ACCEPT


@pytest.mark.parametrize("text", lines("near-misses-taken-back.txt"))
def test_what_is_denied_taken_back_or_told_starts_nothing(text: str) -> None:
    """Neither typed nor heard; what is heard may at most be listened to again."""
    assert MATCH(text).kind is not MatchKind.ACCEPT
    heard = MATCH([Hypothesis(text=text, log_prob=-0.3)])
    assert heard.kind is not MatchKind.ACCEPT or heard.wants_second_look


@pytest.mark.parametrize(
    "rambling", ["the and compare " * 9, "take the and compare with " * 5, "find in the " * 9, "count words " * 14]
)
def test_rambling_in_key_words_is_bounded(rambling: str) -> None:
    """However many ways there are to lay forms on it, few are looked at."""
    assert len(Keywords(Grammar(load_catalog()).keyword_forms).find(said(rambling))) <= MAX_LAYOUTS
    assert MATCH(rambling).kind is not MatchKind.ACCEPT


def test_a_purpose_may_be_a_part_of_a_name() -> None:
    """Then it is not cut off, and it is asked which one is meant."""
    over = Matcher(load_catalog(), ["sisyphus:a/letter.txt", "sisyphus:a/letter-before-i-left.txt"])
    found = over.match("i need a zipped copy of the letter before i left")
    assert found.kind is not MatchKind.ACCEPT or found.best.slots["source"].endswith("before-i-left.txt")


def test_a_misheard_word_is_looked_at_again() -> None:
    """Spoken, "pack" for "back" is a matter for the better recogniser; typed, it is another word."""
    heard = MATCH([Hypothesis(text="edit the annual report", log_prob=-0.2)])
    assert heard.wants_second_look
    assert MATCH("audit the annual report").kind is MatchKind.ACCEPT


def test_beginnings() -> None:
    """Behind lead-ins, any number of them; behind a name only where a name may come first."""
    words = said("okay could you open the letter")
    assert beginnings(words, is_name_first=False) == [0, 1, 3]
    assert beginnings(words, is_name_first=True) == [0, 1, 3, 4, 5]
    assert beginnings(said("she said can you count"), is_name_first=False) == [0]
    assert without_purpose(said("zip the letter so i can send it")) == ("zip", "the", "letter")


def test_free_text_is_what_is_looked_for() -> None:
    """Not the words around it; and small words alone are nothing."""
    words = said("every mention of the word apple anywhere")
    assert text_span(words, 0, len(words)) == (5, 6)
    assert text_span(("the", "white", "whale"), 0, 3) == (1, 3)
    assert text_span(("the", "expression", "partial", "credit"), 0, 4) == (2, 4)
    assert text_span(("the", "word"), 0, 2) is None
    assert text_span(("it", "is", "well", "known"), 0, 4) == (0, 4)


def test_what_is_left_out_is_noticed() -> None:
    """The sound alone cannot tell that more was said; the words can."""
    assert is_shortened("Compress the annual report.", "compress the annual report never")
    assert not is_shortened("could you zip the office folder", "Could you live in the office folder?")
    assert not is_shortened("compress the report", "Compress the report, please.")


def test_strangers() -> None:
    """Words without a counterpart on the other side; split and joined ones have it, opposites do not."""
    assert strangers("check some of", "checksum of") == 0
    assert strangers("delete everything in", "compress everything in") == 2
    assert strangers("unzip the", "zip the") >= 1
    assert strangers("on me for the field trip", "field trip", is_name=True) == 2
    assert is_literal("summarise the", "summarize the")
    assert not is_literal("back up the", "pack up the")
