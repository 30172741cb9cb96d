"""Sentences that no words tell are taken only where the sound is surer of them than of anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from schemas.foreign import FOREIGN
from schemas.match import Match, MatchKind, Reading, Reason
from voice.bot import proposals
from voice.bot.proposals import (
    BRIEF_CLEAR,
    BRIEF_LIKENESS,
    BRIEF_NATS,
    CLOSEST_GAP,
    CLOSEST_GAP_AGREED,
    CLOSEST_GAP_CANCEL,
    CLOSEST_GAP_NAMELESS,
    FURTHER_NATS,
    FURTHER_NATS_AGREED,
    LEAD,
    MAX_RIVALS,
    MAX_WEIGHED,
    REPAIRED_NATS,
    REPAIRED_NATS_AGREED,
    WRITTEN_NATS,
)
from voice.bot.verification import SURE_NATS, Weighed
from voice.services.hearing import Hearing, Look, Weight


def reading(intent: str = "compress", source: str = "error log", **changes: object) -> Reading:
    values: dict[str, object] = {
        "intent": intent,
        "slots": {"source": source},
        "meaning": (intent, source),
        "score": 80.0,
        "wording": f"{intent} the {source}",
        "is_literal": False,
        **changes,
    }
    return Reading.model_validate(values)


def weighed(one: Reading, gap: float, log_prob: float = -10.0, nats: float = 5.0) -> Weighed:
    return Weighed(one, gap, nats, log_prob)


class _Ears:
    """Models to which only what names the error log sounds right."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        raise AssertionError

    def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
        raise AssertionError

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        return [self._weight(text) for text in texts]

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        self.asked.append(texts)
        return [self._weight(text) for text in texts]

    def _weight(self, text: str) -> Weight:
        return Weight(-2.0 if "error log" in text.lower() else -50.0, 5)


UNKNOWN = Match(kind=MatchKind.UNKNOWN, reason=Reason.NOTHING, text="heard")


def like(intent: str, gap: float, log_prob: float = -10.0, source: str = "error log") -> Weighed:
    return weighed(reading(intent, source), gap, log_prob)


def test_a_sentence_that_only_the_sound_suggests_is_acted_on_where_it_is_sure() -> None:
    """Both recognisers wrote something else, each in its way, and nothing else is near."""
    found = [like("compress", CLOSEST_GAP), like("checksum", 5.0, -10.0 - LEAD)]
    verdict = proposals.closest(UNKNOWN, found, ["sip the error log", "zap the error log"])
    assert (verdict.kind, verdict.intent) == (MatchKind.ACCEPT, "compress")


@pytest.mark.parametrize(
    "found",
    [
        [],
        [like("compress", CLOSEST_GAP + 0.1)],
        [like("compress", 1.0), like("checksum", 1.2, -9.0 - LEAD)],
        [like("compress", 1.0), like(FOREIGN, 1.2, -9.0 - LEAD)],
        [like(FOREIGN, 0.1)],
        [weighed(reading(), 1.0, nats=SURE_NATS + 1)],
        [like("status", CLOSEST_GAP_NAMELESS + 0.1)],
        [like("cancel", CLOSEST_GAP_CANCEL + 0.1)],
    ],
    ids=["no sound", "unlikely", "two tasks", "a rival near", "a rival", "long", "small talk", "to cancel"],
)
def test_a_sentence_that_the_sound_is_not_sure_of_is_left(found: list[Weighed]) -> None:
    """It stays what the words made of it."""
    assert proposals.closest(UNKNOWN, found, ["sip the error log", "zap the error log"]) == UNKNOWN


def test_what_both_recognisers_wrote_is_harder_to_doubt() -> None:
    """ "Count the rows" is one word from "count the words", and was heard as it was said, twice."""
    found = [like("count-words", CLOSEST_GAP_AGREED + 0.1)]
    assert (
        proposals.closest(UNKNOWN, found, ["Count the rows of the error log.", "count the rows of the error log"])
        == UNKNOWN
    )
    assert (
        proposals.closest(UNKNOWN, found, ["Count the rows of the error log.", "Count the rose of the error log"]).kind
        is MatchKind.ACCEPT
    )


def test_a_sentence_that_goes_on_is_not_taken_for_its_beginning() -> None:
    """The models do not weigh an end."""
    said = ["sip the error log of my neighbour"]
    assert proposals.closest(UNKNOWN, [like("compress", 1.0)], said) == UNKNOWN


async def test_the_sound_weighs_the_nearest_sentences_and_their_rivals() -> None:
    """A sketch of all by the small model, both models for the likeliest of each kind."""
    ears = _Ears()
    sentences = [reading("compress", f"{name} log") for name in ("a", "b", "error", "c", "d", "e")]
    rivals = [reading(FOREIGN, f"{name} log") for name in ("f", "g", "h")]
    hearing = Hearing(Look((("sip the error log", -0.2),), 0.0), b"pcm", ears)
    found = await proposals.weigh(hearing, [*sentences, *rivals], ["sip the error log"])
    assert found[0].reading == sentences[2]
    assert len(found) == MAX_WEIGHED + MAX_RIVALS
    assert len(ears.asked) == 1


@pytest.mark.parametrize(
    ("nats", "written", "kind"),
    [
        (REPAIRED_NATS, ["would you press it", "would you price it"], MatchKind.ACCEPT),
        (REPAIRED_NATS + 1, ["would you press it", "would you price it"], MatchKind.UNKNOWN),
        (REPAIRED_NATS_AGREED + 1, ["would you press it", "Would you press it?"], MatchKind.UNKNOWN),
    ],
)
def test_a_repaired_sentence_must_be_nearly_as_likely(nats: float, written: list[str], kind: MatchKind) -> None:
    """As a whole: all of it but a word is as it was written."""
    assert proposals.repaired(UNKNOWN, [weighed(reading(), 0.5, nats=nats)], written).kind is kind


def test_what_only_one_recogniser_wrote_must_be_as_likely_as_what_the_other_did() -> None:
    """Both are what a recogniser found likeliest."""
    own = reading(is_as_written=True)
    for nats, kind in ((WRITTEN_NATS, MatchKind.ACCEPT), (WRITTEN_NATS + 1, MatchKind.UNKNOWN)):
        assert proposals.repaired(UNKNOWN, [weighed(own, 0.5, nats=nats)], ["zip it", "sip it"]).kind is kind


@pytest.mark.parametrize(
    ("written", "most"),
    [(["zip it", "sip it"], FURTHER_NATS), (["sip it", "Sip it."], FURTHER_NATS_AGREED)],
    ids=["in two ways", "in one"],
)
def test_what_was_looked_at_further_may_be_less_likely(written: list[str], most: float) -> None:
    """Whether it was written by a further look, or repaired; nothing that was no request came as near."""
    for own in (reading(), reading(is_as_written=True)):
        for nats, kind in ((most, MatchKind.ACCEPT), (most + 0.1, MatchKind.UNKNOWN)):
            found = [weighed(own, 0.5, nats=nats)]
            assert proposals.repaired(UNKNOWN, found, written, is_further=True).kind is kind


def test_what_names_nothing_is_not_taken_from_a_further_look() -> None:
    """ "Stop it, you two" cancels nothing."""
    nameless = reading("cancel", slots={}, meaning=("cancel",), is_as_written=True)
    assert proposals.unrivalled([weighed(nameless, 0.4, nats=4.6)], {}) == []


def test_what_was_weighed_before_still_counts() -> None:
    """ "Undelete" is in the words of no request, and "delete" is nearer to it than "do an audit of"."""
    audit, other = weighed(reading("slow-audit"), 1.7, -20.0), weighed(reading(), 2.7, -21.0)
    rival = (FOREIGN, "delete it")
    assert proposals.unrivalled([audit, other], {rival: -20.0 - LEAD, audit.reading.meaning: -19.0}) == [audit, other]
    assert proposals.unrivalled([audit, other], {rival: -19.9 - LEAD}) == [], "nor is any other left alone by it"
    assert proposals.unrivalled([audit], {other.reading.meaning: -21.0}) == []


def test_a_repaired_sentence_with_a_rival_near_is_left() -> None:
    """ "Audit" and "edit" sound the same."""
    rival = weighed(reading(FOREIGN), 0.5, -9.0 - LEAD)
    assert proposals.repaired(UNKNOWN, [weighed(reading("slow-audit"), 0.4), rival], ["and it", "edit"]) == UNKNOWN
    assert proposals.repaired(UNKNOWN, [], ["and it", "edit"]) == UNKNOWN


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ([("cancel", BRIEF_NATS, -10.0, BRIEF_LIKENESS)], MatchKind.ACCEPT),
        ([("cancel", BRIEF_NATS + 0.1, -10.0, BRIEF_LIKENESS)], MatchKind.UNKNOWN),
        ([("cancel", 1.0, -10.0, BRIEF_LIKENESS - 0.1)], MatchKind.UNKNOWN),
        ([("cancel", 1.0, -10.0, 99.0), ("status", 3.0, -10.1 - LEAD, 99.0)], MatchKind.ACCEPT),
        ([("cancel", 1.0, -10.0, 99.0), ("status", 3.0, -10.1, 99.0)], MatchKind.UNKNOWN),
        ([], MatchKind.UNKNOWN),
    ],
    ids=["nearly as likely", "less likely", "unlike", "with another one far", "with another one near", "nothing"],
)
def test_what_is_brief_must_be_nearly_as_likely_as_what_was_written(
    found: list[tuple[str, float, float, float]], kind: MatchKind
) -> None:
    """A hum is far from all of it."""
    likely = [
        weighed(reading(intent, wording=intent, score=score), 1.0, log_prob, nats)
        for intent, nats, log_prob, score in found
    ]
    assert proposals.brief(UNKNOWN, likely, ["council", "cancer"], -0.2).kind is kind


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (["cancel the flight", "cancel her flight"], MatchKind.UNKNOWN),
        (["council", "cancel her flight"], MatchKind.ACCEPT),
        (["", "cancel the flight"], MatchKind.UNKNOWN),
    ],
)
def test_what_goes_on_in_both_looks_is_not_that_brief(written: list[str], kind: MatchKind) -> None:
    """One of them may have heard a word too many."""
    found = [weighed(reading("cancel", wording="cancel", score=99.0), 1.0, nats=1.0)]
    assert proposals.brief(UNKNOWN, found, written, -0.2).kind is kind


@pytest.mark.parametrize(
    ("log_prob", "kind"), [(BRIEF_CLEAR, MatchKind.UNKNOWN), (BRIEF_CLEAR - 0.1, MatchKind.ACCEPT)]
)
def test_what_both_wrote_clearly_was_said(log_prob: float, kind: MatchKind) -> None:
    """ "Rip it" is not "repeat it"; that they agree on a guess proves nothing."""
    found = [weighed(reading("cancel", wording="cancel", score=99.0), 1.0, nats=1.0)]
    assert proposals.brief(UNKNOWN, found, ["council", "Council."], log_prob).kind is kind


async def test_what_is_brief_is_weighed_with_its_end() -> None:
    """The models do not weigh an end, and "cancel" is the beginning of much that is none of our business."""
    ears = _Ears()
    hearing = Hearing(Look((("council", -1.0),), 0.0), b"pcm", ears)
    found = await proposals.weigh(hearing, [reading("cancel", wording="cancel")], ["council", "cancer"], is_ended=True)
    assert [one.reading.intent for one in found] == ["cancel"]
    assert ears.asked == [["Cancel.", "council", "cancer"]]
