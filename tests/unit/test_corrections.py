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
