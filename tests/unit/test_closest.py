"""Where the recogniser missed the verb, whole sentences with the names that were heard are found for the sound."""

from __future__ import annotations

import pytest

from infra.template_catalog import load_catalog
from schemas.closest import FOREIGN
from schemas.match import MatchKind, Reading
from schemas.utterance import Matcher

REMOTES = (
    "sisyphus:office/staff-handbook.txt",
    "sisyphus:office/todo.txt",
    "sisyphus:tables/weather-data.csv",
    "sisyphus:reports/annual-report.txt",
)


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher(load_catalog(), REMOTES)


def found(matcher: Matcher, *said: str) -> list[Reading]:
    return matcher.closest(said, 20, 8)


@pytest.mark.parametrize(
    ("said", "wording", "intent"),
    [
        ("Could use it the office folder.", "could you zip the office folder", "compress-folder"),
        ("He's it, the weather data.", "zip the weather data", "compress"),
        ("The board the task.", "abort the task", "cancel"),
        ("Is the object finished.", "is the audit finished", "status"),
        (
            "Hi what you'll be so kind as to zip the annual report",
            "hi would you be so kind as to zip the annual report",
            "compress",
        ),
    ],
)
def test_the_sentence_that_was_meant_is_among_the_nearest(
    matcher: Matcher, said: str, wording: str, intent: str
) -> None:
    """No word of it has to be right but the name, and where there is none, not even that."""
    assert matcher.match(said).kind is not MatchKind.ACCEPT
    meant = [one for one in found(matcher, said) if one.wording.startswith(wording)]
    assert meant, [one.wording for one in found(matcher, said)]
    assert {one.intent for one in meant} == {intent}


def test_what_is_found_is_a_request_when_it_is_typed(matcher: Matcher) -> None:
    """The sentences are proper ones: whoever types one gets what it says."""
    for one in found(matcher, "Could use it the office folder."):
        if one.intent != FOREIGN:
            match = matcher.match(one.wording)
            assert (match.kind, match.best and match.best.meaning) == (MatchKind.ACCEPT, one.meaning), one.wording


def test_what_nothing_here_does_competes(matcher: Matcher) -> None:
    """A request to keep or to copy a file sounds like a request too."""
    rivals = [one for one in found(matcher, "Mark up the weather data") if one.intent == FOREIGN]
    assert rivals
    assert all(one.wording.endswith("weather data") for one in rivals)
    assert len({one.meaning for one in rivals}) == len(rivals)


@pytest.mark.parametrize(
    "said",
    [
        "Don't sip the weather data.",
        "He said sip the weather data.",
        "Have you sipped the weather data?",
        "I did not ask you to sip the weather data",
        "The train was late again.",
        "",
    ],
)
def test_what_is_denied_told_or_like_nothing_finds_nothing(matcher: Matcher, said: str) -> None:
    """The sound of the rest must not be asked at all."""
    assert found(matcher, said) == []


def test_no_name_however_odd_breaks_it() -> None:
    """Names are compared, never read as anything."""
    odd = ("sisyphus:a/{source}.txt", "sisyphus:b/(zip|pack) [up].txt", "sisyphus:c/....txt", "sisyphus:d/" + "x" * 200)
    assert found(Matcher(load_catalog(), odd), "sip the source", "zip pack up " * 9) is not None


@pytest.mark.parametrize(
    ("said", "wording"),
    [
        (["Council.", "Cancel her."], "cancel"),
        (["Console hot."], "cancel that"),
        (["Stop the leap.", "Stop the tape."], "stop the zip"),
        (["6 status.", "Six status."], "zip status"),
        (["Can salt, please."], "cancel please"),
        (["Sorry work."], "sorry what"),
    ],
)
def test_what_may_have_been_said_in_a_word_or_two_is_found(matcher: Matcher, said: list[str], wording: str) -> None:
    """All that asks for status, help and the like so briefly is like it, more or less; the sound decides."""
    assert wording in [one.wording for one in matcher.brief(said, 20)]


@pytest.mark.parametrize(
    "said",
    [["Cancel the flight to Rome at noon."], ["Do not cancel."], ["Cancel, wait."], ["Cancel if done."], ["uh"], [""]],
)
def test_what_is_longer_denied_or_told_is_no_brief_request(matcher: Matcher, said: list[str]) -> None:
    """Nor is a hum."""
    assert not matcher.brief(said, 20)
