"""Who takes a name back and says another one means the other one; who names two means both."""

from __future__ import annotations

import pytest

from infra.template_catalog import load_catalog
from schemas.match import Hypothesis, MatchKind
from schemas.utterance import Matcher

ERRORS, ACCESS, LETTER = "s:logs/error-log.txt", "s:logs/access-log.txt", "s:mail/tax-letter.md"
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
    for heard in (said, [Hypothesis(text=said, log_prob=-0.2)]):
        match = MATCHER.match(heard)
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
