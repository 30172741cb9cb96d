"""Who takes a name back and says another one means the other one; who names two means both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.template_catalog import load_catalog
from schemas.folder_places import without_places
from schemas.match import Hypothesis, MatchKind
from schemas.retracing import retraced
from schemas.small_words import words
from schemas.taken_back import as_meant
from schemas.utterance import Matcher
from schemas.wording import heard
from voice.bot.requests import packaged_model

ERRORS, ACCESS, LETTER = "s:logs/error-log.txt", "s:logs/access-log.txt", "s:mail/tax-letter.md"
ODD = Matcher([], ["s:wards/night-log-2.log", "s:wards/zip.csv", "s:that.md"])
SMALL = words("no sorry wait not the make it that i mean two six log zip it for in wards")
MATCHER = Matcher(load_catalog(), [ERRORS, ACCESS, LETTER])


@pytest.mark.parametrize(
    ("said", "intent", "slots"),
    [
        ("zip the error log no the access log", "compress", {"source": ACCESS}),
        ("zip the error log, no sorry, i mean the tax letter please", "compress", {"source": LETTER}),
        ("the error log or rather the access log compress it", "compress", {"source": ACCESS}),
        ("zip the error log no the access log no the tax letter", "compress", {"source": LETTER}),
        (
            "compare the error log with the access log no with the tax letter",
            "compare",
            {"first": ERRORS, "second": LETTER},
        ),
    ],
)
def test_the_last_name_counts(said: str, intent: str, slots: dict[str, str]) -> None:
    """Typed and heard; the sound is held against all that was said."""
    for way in (said, [Hypothesis(text=said, log_prob=-0.2)]):
        match = MATCHER.match(way)
        assert match.best is not None
        assert (match.kind, match.intent, match.best.slots) == (MatchKind.ACCEPT, intent, slots)
    assert match.best is not None
    assert "error log" in match.best.wording
    assert match.best.is_as_written


@pytest.mark.parametrize(
    "said",
    [
        "zip the error log no",
        "zip the error log no wait the access log is what i deleted",
        "zip the error log not the access log",
        "zip the error log no the access log is fine",
        "zip the error log and the access log",
    ],
)
def test_what_names_two_or_takes_all_back_starts_nothing(said: str) -> None:
    """It is asked back or not understood, but the first one is not done."""
    assert MATCHER.match(said).kind is not MatchKind.ACCEPT


@pytest.mark.parametrize(
    "said",
    [
        "zip the error log actually not the tax letter",
        "zip the error log i mean not the tax letter",
        "zip the tax letter, it is actually the error log",
        "zip the error log but wait with the access log",
        "compare the error log with the access log or rather not the tax letter",
    ],
)
def test_who_says_what_is_not_meant_corrects_nothing(said: str) -> None:
    """The second name is not done instead of the first."""
    match = MATCHER.match(said)
    wrong = match.best is not None and match.best.slots.get("source") in {LETTER, ACCESS} and "error" in said[:14]
    assert match.kind is not MatchKind.ACCEPT or not wrong


def test_words_to_look_for_and_a_pair_are_no_corrections() -> None:
    """Names may stand in what is looked for; and who hesitates before the second one wants both."""
    match = MATCHER.match("find error log no access log in the tax letter")
    assert match.best is not None
    assert match.best.slots == {"phrase": "error log no access log", "source": LETTER}
    match = MATCHER.match("compare the error log with sorry the access log")
    assert match.best is not None
    assert (match.intent, match.best.slots) == ("compare", {"first": ERRORS, "second": ACCESS})


@pytest.mark.parametrize(
    ("said", "intent", "slots"),
    [
        ("zip not the error log but the tax letter", "compress", {"source": LETTER}),
        ("zip the error log no wait not the error log the tax letter", "compress", {"source": LETTER}),
        ("never mind the access log it's the error log i want a checksum of", "checksum", {"source": ERRORS}),
        ("zip the error log wait make that the tax letter", "compress", {"source": LETTER}),
        ("zip the error log no not the errors the tax letter", "compress", {"source": LETTER}),
        ("kill the word count no not the word count the checksum", "cancel", {"task": "checksum"}),
        ("do a checksum on the error log no my bad the access log", "checksum", {"source": ACCESS}),
    ],
)
def test_who_says_which_one_is_not_meant_means_the_other_one(said: str, intent: str, slots: dict[str, str]) -> None:
    """With or without a "no" before it, and where the wrong name was begun only."""
    match = MATCHER.match(said)
    assert match.best is not None
    assert (match.kind, match.intent, match.best.slots) == (MatchKind.ACCEPT, intent, slots)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("look through the list for north no sorry for south gate", "look through the list for south gate"),
        ("find me smith no not smith find jones in the list", "find jones in the list"),
        ("the top three no make that the top nine words", "the top nine words"),
        ("the top six no make it twelve words in the list", "the top twelve words in the list"),
        ("zip the bud no hang on zip the list", "zip the list"),
        ("the gist of the damp no sorry not the damp the floor levels", "the gist of the floor levels"),
        ("search for sorry for the delay in the letter", None),
        ("find no in the list", None),
        ("count the words no wait don't count them", None),
        ("zip it actually i want it later", None),
    ],
)
def test_a_repair_goes_on_from_a_word_that_was_said_before(said: str, expected: str | None) -> None:
    """Behind two words of taking back; one alone may be looked for."""
    whole = heard(said)
    assert retraced(whole).words == heard(expected or said).words
    assert retraced(whole).origin == ("" if expected is None else said)


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(SMALL))))
def test_no_order_of_such_words_breaks_it(said: list[str]) -> None:
    """What is left was said, in the order in which it was said."""
    whole = heard(" ".join(said))
    left = iter(whole.words)
    result = as_meant(whole, ODD.lexicons)
    assert all(word in left for word in result.words)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("zip the night feeds log from the wards please", "zip the night feeds log please"),
        ("hash the night feeds over in the wards folder", "hash the night feeds"),
        ("zip the rota in the wards", None),
        ("zip the night feeds from the kitchen", None),
        ("zip everything in the wards", None),
        ("are the night feeds in", None),
    ],
)
def test_the_folder_that_is_said_behind_a_file_of_its_own_says_nothing(said: str, expected: str | None) -> None:
    """Not where the file is none of that folder, or where the folder tells two files apart."""
    over = Matcher([], ["s:wards/night-feeds.log", "s:wards/rota.csv", "s:kitchen/rota.csv"])
    assert without_places(heard(said), over.lexicons).words == heard(expected or said).words


WARDS = Matcher(
    load_catalog(),
    [ERRORS, ACCESS, LETTER, *(f"s:wards/{name}" for name in ("night-log.log", "sign.txt", "sign-up.txt"))],
    packaged_model(),
)


@pytest.mark.parametrize(
    "said",
    [
        "zip the error log no not the error log",
        "zip the error log no not the error log today",
        "zip the error log no not the error log leave it alone",
        "zip the night log in the wards no not the night log in the wards",
        "zip the error log no wait i need the error log",
        "zip the error log scrap that the error log can stay",
        "zip the error log no wait the log is in use",
        "zip the error log hang on no not tonight the access log",
        "zip the error log wait not yet the access log is still open",
        "zip not just the error log but the access log",
        "zip the wards folder but not the error log the night log",
        "zip the error log and hash the letter no wait zip the access log",
        "i want the error log zipped if any space is left",
    ],
)
def test_what_is_denied_or_excluded_is_not_done(said: str) -> None:
    """Nor is half of what was asked for; in doubt it is asked back."""
    assert WARDS.match(said).kind is not MatchKind.ACCEPT


@pytest.mark.parametrize(
    ("said", "slots"),
    [
        ("hash the sign-up in the wards", {"source": "s:wards/sign-up.txt"}),
        ("zip the sign over in the wards", {"source": "s:wards/sign.txt"}),
        ("find error in the tax letter no wait find log in the tax letter", {"phrase": "log", "source": LETTER}),
    ],
)
def test_the_name_that_was_said_is_taken(said: str, slots: dict[str, str]) -> None:
    """To its last word, and behind a second thought."""
    match = WARDS.match(said)
    assert match.best is not None
    assert match.kind is not MatchKind.UNKNOWN
    assert match.best.slots == slots


def test_a_name_that_is_an_article_breaks_nothing() -> None:
    """Behind a word of taking back it is only doubted."""
    over = Matcher(load_catalog(), [ERRORS, "s:our.txt", "s:that.md", "s:this.md"])
    for said in ("zip the error log no our", "zip the error log sorry that", "zip the error log make that this one"):
        assert over.match(said).kind in MatchKind


def test_words_of_taking_back_may_be_looked_for() -> None:
    """Right behind the words of looking they are the text."""
    assert retraced(heard("search the letter for no sorry for the delay")).origin == ""


def test_a_file_may_be_called_like_a_folder() -> None:
    """Then something is looked for in the file."""
    over = Matcher(load_catalog(), ["s:accounts/fees.csv", "s:accounts.csv"])
    match = over.match("find fees in accounts")
    assert match.best is not None
    assert match.best.slots == {"phrase": "fees", "source": "s:accounts.csv"}
