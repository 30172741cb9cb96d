"""What words leave in doubt, the sound settles; what the sound contradicts is not done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from infra.template_catalog import load_catalog
from schemas.match import Match, MatchKind, Reading, Reason
from voice.bot import verification
from voice.bot.verification import (
    SURE_GAP,
    SURE_GAP_AGREED,
    SURE_NATS,
    WRONG_GAP,
    Weighed,
)
from voice.services.hearing import Hearing, Look, Weight

TEMPLATES = load_catalog().templates


def reading(intent: str = "compress", source: str = "error log", **changes: object) -> Reading:
    values: dict[str, object] = {
        "intent": intent,
        "slots": {"source": source},
        "meaning": (intent, source),
        "forms": {"source": f"the {source}"},
        "score": 80.0,
        "wording": f"{intent} the {source}",
        **changes,
    }
    return Reading.model_validate(values)


def match(kind: MatchKind, *readings: Reading) -> Match:
    best, *others = readings or (None,)
    return Match(kind=kind, reason=Reason.UNSURE, best=best, others=tuple(o for o in others if o), text="heard")


def weighed(one: Reading, gap: float, log_prob: float = -10.0, nats: float = 5.0) -> Weighed:
    return Weighed(one, gap, nats, log_prob)


def test_a_doubt_that_the_sound_settles_is_acted_on() -> None:
    """Nearly as likely as what was written, and nothing else near: that was said."""
    mine, other = reading(), reading(source="access log")
    found = verification.verified(
        match(MatchKind.DOUBTFUL, other, mine), [weighed(mine, SURE_GAP), weighed(other, 5.0, -30.0)]
    )
    assert found.kind is MatchKind.ACCEPT
    assert found.best == mine


@pytest.mark.parametrize(("gap", "rival_log_prob"), [(SURE_GAP + 0.1, -30.0), (0.5, -11.0)])
def test_a_doubt_that_remains_is_asked_about(gap: float, rival_log_prob: float) -> None:
    """Too unlikely, or another task nearly as likely: the verdict of the words stays."""
    mine, other = reading(), reading(source="access log")
    words = match(MatchKind.DOUBTFUL, mine, other)
    assert verification.verified(words, [weighed(mine, gap), weighed(other, 5.0, rival_log_prob)]) == words


@pytest.mark.parametrize(
    ("gap", "written", "expected"),
    [
        (SURE_GAP_AGREED, ["the slow one was worth it", "The slow one was worth it."], MatchKind.ACCEPT),
        (SURE_GAP, ["the slow one was worth it", "The slow one was worth it."], MatchKind.DOUBTFUL),
        (SURE_GAP, ["the slow one was worth it", "the slow one was word it"], MatchKind.ACCEPT),
    ],
)
def test_what_both_recognisers_wrote_is_harder_to_overrule(gap: float, written: list[str], expected: MatchKind) -> None:
    """Spelling and punctuation aside they seldom mishear alike."""
    found = verification.verified(match(MatchKind.DOUBTFUL, reading()), [weighed(reading(), gap)], written)
    assert found.kind is expected


def test_a_wrong_name_in_a_long_sentence_is_no_small_matter() -> None:
    """Few nats per token, but many in all; and what begins like a report is never made a request."""
    mine = reading()
    words = match(MatchKind.DOUBTFUL, mine)
    assert verification.verified(words, [weighed(mine, 1.0, nats=SURE_NATS + 1)]) == words
    told = mine.model_copy(update={"is_led": False})
    words = match(MatchKind.DOUBTFUL, told)
    assert verification.verified(words, [weighed(told, 0.1)]) == words


def test_what_the_sound_contradicts_is_not_done() -> None:
    """Accepted by its words, but not in the sound, or another task is: asked back."""
    mine, other = reading(), reading(source="access log")
    words = match(MatchKind.ACCEPT, mine, other)
    assert verification.verified(words, [weighed(mine, WRONG_GAP + 0.1)]).kind is MatchKind.DOUBTFUL
    contradicted = verification.verified(words, [weighed(other, 0.1), weighed(mine, 4.0, -40.0)])
    assert contradicted.kind is MatchKind.DOUBTFUL
    assert contradicted.best == mine
    assert verification.verified(words, [weighed(mine, 4.0), weighed(other, 8.0, -40.0)]).kind is MatchKind.ACCEPT


def test_what_was_written_as_it_was_said_is_not_contradicted_by_another_wording_of_it() -> None:
    """A pattern leaves out half of a free sentence, so that it is far from the sound; the sentence itself is not."""
    written = reading(wording="what i'm after is the error log, compressed", is_as_written=True)
    words = match(MatchKind.ACCEPT, written)
    assert verification.verified(words, [weighed(reading(), WRONG_GAP + 0.4)]) == words
    other = reading(source="access log")
    found = verification.verified(words, [weighed(other, 0.1), weighed(reading(), WRONG_GAP + 0.4, -40.0)])
    assert found.kind is MatchKind.DOUBTFUL, "another task is surely in the sound"


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("zip the error log", MatchKind.ACCEPT),
        ("please sip the error log", MatchKind.ACCEPT),
        ("zip the error log and email it", MatchKind.DOUBTFUL),
        ("zip the error log never", MatchKind.DOUBTFUL),
    ],
)
def test_a_request_that_goes_on_in_one_hearing_is_asked_back(written: str, kind: MatchKind) -> None:
    """The models do not weigh an end, so a sentence cut short is as likely as the whole of it."""
    words = match(MatchKind.ACCEPT, reading(wording="zip the error log"))
    assert verification.unshortened(words, ["zip the error log", written]).kind is kind


def test_of_two_spellings_of_a_phrase_the_likelier_is_searched_for() -> None:
    """Free text is no part of the meaning, so two looks' spellings do not compete; the sound picks one."""
    one = reading("find-phrase", slots={"phrase": "colds tour"}, has_text=True, meaning=("find-phrase", "notes"))
    two = reading("find-phrase", slots={"phrase": "cold store"}, has_text=True, meaning=("find-phrase", "notes"))
    found = verification.verified(match(MatchKind.ACCEPT, one), [weighed(two, 0.2, -9.0), weighed(one, 0.9, -12.0)])
    assert found.kind is MatchKind.ACCEPT
    assert found.best is not None
    assert found.best.slots["phrase"] == "cold store"


def test_what_starts_nothing_is_not_weighed() -> None:
    """Status, help and the like need no proof, and nothing to weigh leaves the verdict as it is."""
    status = reading("status", slots={}, meaning=("status",))
    words = match(MatchKind.ACCEPT, status, reading())
    assert [one.intent for one in verification.readings_of(words)] == ["compress"]
    assert verification.verified(words, []) == words
    assert verification.verified(words, [weighed(reading(), 0.1)]) == words


def test_a_reading_is_weighed_in_the_words_of_its_patterns() -> None:
    """Around them stays what was heard: the recogniser may have lost just the verb."""
    asked = reading(around=("Could you", ", please?"))
    wordings = verification.wordings_of(asked, TEMPLATES, ["Could you sip the terror log please"], 3)
    assert wordings[0] == asked.wording
    assert wordings[1] == "Could you zip the error log, please?", "the nearest by letters and sound"
    assert len(wordings) == 3
    assert verification.spellings("could you zip it, please?") == (
        "could you zip it, please",
        "Could you zip it, please?",
    )


class Sound:
    """A sound of which one sentence is likely."""

    def __init__(self, said: str) -> None:
        self._said, self.weighed = said, list[str]()

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        raise AssertionError

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        return [self._weight(text) for text in texts]

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        self.weighed = list(texts)
        return [self._weight(text) for text in texts]

    def _weight(self, text: str) -> Weight:
        return Weight(-1.0 if text.lower().strip(".") == self._said else -40.0, 5)


async def test_the_likeliest_wording_speaks_for_its_reading() -> None:
    """Both models weigh few texts, though the small one sketched all wordings."""
    sound = Sound("zip the error log")
    hearing = Hearing(Look((("Simply error log.", -0.9),), 0.0), b"pcm", sound)
    mine, other = reading(), reading(source="access log")
    found = await verification.weigh(hearing, [other, mine], ["Simply error log."], TEMPLATES)
    assert [one.reading for one in found] == [mine, other]
    assert found[0].gap < found[1].gap
    assert len(sound.weighed) == 2 * 2 * verification.MAX_WEIGHED + 1


async def test_of_two_looks_at_free_words_the_likelier_sentence_counts() -> None:
    """Both clearly ask for the same search; the better recogniser's words count unless the sound says otherwise."""
    first, second = (
        match(
            MatchKind.ACCEPT,
            reading("find-phrase", slots={"phrase": phrase}, has_text=True, meaning=("find-phrase", "letter")),
        )
        for phrase in ("flood damage", "flow damage")
    )
    written = ["is flood damage in the letter", "is flow damage in the letter"]

    async def better(said: str, second: Match) -> Match:
        hearing = Hearing(Look(((written[0], -0.2),), 0.0), b"pcm", Sound(said))
        return await verification.of_better_words(hearing, first, second, written)

    assert await better(written[0], second) == first
    assert await better(written[1], second) == second
    asked = second.model_copy(update={"kind": MatchKind.DOUBTFUL})
    assert await better(written[0], asked) == asked


async def test_without_the_sound_nothing_is_said_of_it() -> None:
    """A recogniser without weights, or a sound that was let go: no opinion."""
    assert await verification.weigh(Hearing(Look((), 0.0)), [reading()], ["x"], TEMPLATES) == []


async def test_a_word_that_is_only_near_is_confirmed_at_a_glance() -> None:
    """The small model alone confirms what it nearly wrote; what is not in the sound, or has a rival there, it does not."""
    accepted = match(MatchKind.ACCEPT, reading(wording="zip the error log", is_literal=False))
    heard = Look((("Sip the error log.", -0.4),), 0.0)
    assert await verification.confirms(Hearing(heard, b"pcm", Sound("zip the error log")), accepted, TEMPLATES)
    assert not await verification.confirms(Hearing(heard, b"pcm", Sound("sip the error log")), accepted, TEMPLATES)
    rival = reading(source="access log", wording="zip the access log")
    either = match(MatchKind.ACCEPT, accepted.best, rival) if accepted.best else accepted
    assert not await verification.confirms(Hearing(heard, b"pcm", Sound("zip the access log")), either, TEMPLATES)
    assert not await verification.confirms(Hearing(heard), accepted, TEMPLATES)


def test_what_was_written_proves_nothing_of_itself() -> None:
    """A guess stays as sure as it was: the sound is asked only about other sentences, and may contradict it."""
    guess = reading("count-words", is_guessed=True, is_as_written=True)
    assert verification.readings_of(match(MatchKind.DOUBTFUL, guess, reading())) == [reading()]
    accepted = match(MatchKind.ACCEPT, guess)
    assert verification.verified(accepted, [weighed(reading(), SURE_GAP + 1)]) == accepted
    assert verification.verified(accepted, [weighed(reading(), 0.5)]).kind is MatchKind.DOUBTFUL


@pytest.mark.parametrize(
    ("is_literal", "is_guessed", "written", "kind"),
    [
        (False, False, ["edit the error log", "edit the error log"], MatchKind.DOUBTFUL),
        (False, False, ["edit the error log", "audit the error log"], MatchKind.ACCEPT),
        (True, False, ["edit the error log", "edit the error log"], MatchKind.ACCEPT),
        (False, False, ["run a slow edit of the error log"], MatchKind.ACCEPT),
        (False, False, ["could you edit the error log"], MatchKind.DOUBTFUL),
        (True, True, ["delete the error log", "dill eat the error log"], MatchKind.DOUBTFUL),
        (True, False, ["and zip the error log", "And sip the error log."], MatchKind.DOUBTFUL),
        (True, True, ["i share a log so zip it", "i chair a log so zip it"], MatchKind.ACCEPT),
    ],
)
def test_what_was_written_of_something_else_is_not_done(
    is_literal: bool, is_guessed: bool, written: list[str], kind: MatchKind
) -> None:
    """Both wrote a verb that nothing here does; or one of them wrote it first, and no form has the rest."""
    one = reading("audit", is_literal=is_literal, is_guessed=is_guessed)
    assert verification.undisputed(match(MatchKind.ACCEPT, one), written).kind is kind


def test_right_may_be_written_write() -> None:
    """ "Right, the list is too long so …" asks to write nothing."""
    one = reading("audit", is_guessed=True, wording="right the log is long so audit it")
    written = ["Right the log is long so audit it.", "Write the log is long so audit it."]
    assert verification.undisputed(match(MatchKind.ACCEPT, one), written).kind is MatchKind.ACCEPT
    other = one.model_copy(update={"wording": "the log is long so audit it"})
    assert verification.undisputed(match(MatchKind.ACCEPT, other), written).kind is MatchKind.DOUBTFUL


@pytest.mark.parametrize(
    ("intent", "is_as_written", "kind"),
    [
        ("compress-folder", True, MatchKind.DOUBTFUL),
        ("compress-folder", False, MatchKind.ACCEPT),
        ("audit", True, MatchKind.ACCEPT),
        ("status", True, MatchKind.ACCEPT),
    ],
)
def test_what_one_look_clearly_asks_for_is_not_passed_over(intent: str, is_as_written: bool, kind: MatchKind) -> None:
    """Where the sound was not asked of it, it does not speak against it either."""
    other = reading(intent, is_as_written=is_as_written)
    found = match(MatchKind.ACCEPT, reading("audit"))
    assert verification.uncontradicted(found, match(MatchKind.ACCEPT, other), found).kind is kind
    assert verification.uncontradicted(found, match(MatchKind.DOUBTFUL, other)).kind is MatchKind.ACCEPT


def test_a_number_that_one_look_lost_is_no_contradiction() -> None:
    """Who heard more of the same request heard better; another number is another matter."""

    def top(count: str | None) -> Match:
        slots = {"source": "error log", **({"count": count} if count else {})}
        meaning = ("top-words", *sorted(slots.values()))
        return match(MatchKind.ACCEPT, reading("top-words", slots=slots, meaning=meaning, is_as_written=True))

    twenty, twelve, none = top("20"), top("12"), top(None)
    assert verification.uncontradicted(twenty, none, twenty).kind is MatchKind.ACCEPT
    assert verification.uncontradicted(none, none, twenty).kind is MatchKind.DOUBTFUL
    assert verification.uncontradicted(twenty, twelve, twenty).kind is MatchKind.DOUBTFUL
