"""Whole sentences that no words tell, held against the sound: the last chance of a request that was misheard.

Two kinds are proposed: requests that are like what was written (`schemas.closest`), and what was written with a place
or two of it repaired (`schemas.repair`). Their rivals, which ask for what nothing here does, come with them. What is
taken must be much surer than a reading that words suggest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.control import CONTROLS, ControlIntent
from schemas.foreign import FOREIGN
from schemas.match import Match, MatchKind, Reading, Reason
from schemas.strangers import goes_on
from voice.bot.verification import SURE_NATS, Weighed, are_agreed, spellings, weighed
from voice.services.hearing import Hearing

#: Nats per token by which a sentence that is only like what was written may be less likely than that: in general, where
#: both recognisers wrote the same, for what is said without a name, and to cancel. Every other must be less likely by
#: the last.
CLOSEST_GAP, CLOSEST_GAP_AGREED, CLOSEST_GAP_NAMELESS, CLOSEST_GAP_CANCEL, LEAD = 3.3, 2.0, 1.5, 3.0, 6.0
#: Nats by which a repaired sentence may be less likely, and where both recognisers wrote the same: all of it but the
#: repaired place is as it was written. Of 1,600 sentences that ask for nothing none came nearer than 20.6, and of 3,000
#: requests no other one than was said nearer than 25.
REPAIRED_NATS, REPAIRED_NATS_AGREED = 20.0, 10.0
#: The same of what one recogniser wrote, and the other in another way.
WRITTEN_NATS = 6.0
#: The same of all that comes of further looks, and where the first two wrote the same.
FURTHER_NATS, FURTHER_NATS_AGREED = 20.0, 13.0
#: Nats by which a request of a few words may be less likely than what was written. With a full stop behind it, so that
#: it is no beginning of something longer: of 300 hums and brief remarks of the corpora none came nearer than 9, though
#: what was made to sound like one does ("can so").
BRIEF_NATS = 8.0
#: How like one of what was written it must be: "cancel" is like "council", and "repeat" is not like "the pit".
BRIEF_LIKENESS = 62.0
#: Average log probability from which what both recognisers wrote is what was said.
BRIEF_CLEAR = -0.75
#: Sentences that are sketched, rivals among them, and how many of each are weighed.
SKETCHED, SKETCHED_RIVALS, MAX_WEIGHED, MAX_RIVALS = 20, 8, 4, 2
#: The same of repaired sentences.
REPAIRED, REPAIRED_RIVALS = 12, 6


async def weigh(
    hearing: Hearing, proposed: Sequence[Reading], written: Sequence[str], *, is_ended: bool = False
) -> list[Weighed]:
    """What the sound says of sentences and of their rivals, likeliest first; empty where it cannot be asked.

    Args:
        hearing: the sound.
        proposed: the sentences, at least one.
        written: what the recognisers wrote by themselves.
        is_ended: each is weighed with its full stop only, so that it is no beginning of something longer.
    """
    ways = {id(one): spellings(one.wording)[is_ended:] for one in proposed}
    sketched = await hearing.sketch([ways[id(one)][0] for one in proposed])
    if sketched is None:
        return []
    likeliest = [one for _, one in sorted(zip(sketched, proposed, strict=True), key=lambda pair: -pair[0].log_prob)]
    own = [one for one in likeliest if one.intent != FOREIGN][:MAX_WEIGHED]
    best = [*own, *[one for one in likeliest if one.intent == FOREIGN][:MAX_RIVALS]]
    weights = await hearing.weigh([*(text for one in best for text in ways[id(one)]), *written])
    return weighed([(one, one.wording) for one in best], weights, len(written)) if weights else []


def brief(match: Match, found: Sequence[Weighed], written: Sequence[str], log_prob: float) -> Match:
    """The verdict where status, help or the like may have been asked for in a few words that were misheard.

    Args:
        match: the verdict so far.
        found: what the sound says, likeliest first.
        written: what the recognisers wrote.
        log_prob: the average of what the better one wrote, in nats per token.
    """
    top = _alone(found)
    if top is None or top.nats > BRIEF_NATS or top.reading.score < BRIEF_LIKENESS:
        return match
    if are_agreed(written) and log_prob >= BRIEF_CLEAR:
        return match
    return match if all(goes_on(top.reading.wording, text) for text in written if text) else _accepted(match, top)


def closest(match: Match, found: Sequence[Weighed], written: Sequence[str]) -> Match:
    """The verdict where a whole sentence may have been said that is only like what was written."""
    top = _alone(found)
    if top is None:
        return match
    most = CLOSEST_GAP_AGREED if are_agreed(written) else CLOSEST_GAP
    # A cancel is read back before anything is done.
    if top.reading.intent in CONTROLS:
        is_read_back = top.reading.intent == ControlIntent.CANCEL
        most = min(most, CLOSEST_GAP_CANCEL if is_read_back else CLOSEST_GAP_NAMELESS)
    is_sure = top.gap <= most and top.nats <= SURE_NATS
    if not is_sure or any(goes_on(top.reading.wording, text) for text in written):
        return match
    return _accepted(match, top)


def repaired(match: Match, found: Sequence[Weighed], written: Sequence[str], *, is_further: bool = False) -> Match:
    """The verdict where a word or two of what was written may have been misheard.

    Args:
        match: the verdict so far.
        found: what the sound says, likeliest first.
        written: what the first two looks wrote.
        is_further: whether more than these two were made.
    """
    top = _alone(found)
    if top is None:
        return match
    bounds = (FURTHER_NATS, FURTHER_NATS_AGREED) if is_further else (REPAIRED_NATS, REPAIRED_NATS_AGREED)
    most = bounds[are_agreed(written)]
    if top.reading.is_as_written and not is_further:
        most = min(most, WRITTEN_NATS)
    return match if top.nats > most else _accepted(match, top)


def unrivalled(found: Sequence[Weighed], known: Mapping[tuple[str, ...], float]) -> list[Weighed]:
    """All of them, or none where what is likeliest names nothing, or another known meaning is nearly as likely.

    Args:
        found: what the sound says, likeliest first.
        known: the log probabilities of meanings that were weighed before.
    """
    if not found or not found[0].reading.slots:
        return []
    top = found[0]
    others = (log_prob for meaning, log_prob in known.items() if meaning != top.reading.meaning)
    return list(found) if all(top.log_prob - other >= LEAD for other in others) else []


def _alone(found: Sequence[Weighed]) -> Weighed | None:
    """The likeliest, if it is a request and no other meaning is near."""
    if not found or found[0].reading.intent == FOREIGN:
        return None
    top, others = found[0], [one for one in found if one.reading.meaning != found[0].reading.meaning]
    return top if all(top.log_prob - one.log_prob >= LEAD for one in others) else None


def _accepted(match: Match, top: Weighed) -> Match:
    return match.model_copy(update={"kind": MatchKind.ACCEPT, "reason": Reason.CLEAR, "best": top.reading})
