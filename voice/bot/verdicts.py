"""What several looks at one utterance come to, by words alone."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.control import CONTROLS
from schemas.match import Match, MatchKind, Reason
from voice.services.hearing import Hearing, Look

#: What only the second look understood needs this average log probability when it has no more words than this:
#: "uh huh" was written as "That's all" at -1.2, real short answers stayed above -1.0.
_FEW_WORDS, _SURE_LOG_PROB = 3, -1.0
#: Average log probability below which a further look is garbled, if those that heard what is done are surer by so much.
_GARBLED_LOG_PROB, _SURER = -0.9, 0.6


def is_only_near(first: Match) -> bool:
    """Whether it was accepted with a word that is only near to the one that was wanted, and holds no free text."""
    return (
        first.kind is MatchKind.ACCEPT
        and first.best is not None
        and not first.best.is_literal
        and not first.best.has_text
        and not first.best.is_as_written
    )


def is_plain(first: Match, second: Match, alone: Match) -> bool:
    """Whether the better recogniser wrote a request word for word, and the small one no other.

    Args:
        first: what the small recogniser's look means.
        second: what the better one's means.
        alone: what the likeliest of its texts means.
    """
    if second.wants_second_look or alone.wants_second_look or second.best is None or alone.best is None:
        return False
    meanings = {match.best.meaning for match in (first, second, alone) if match.best is not None}
    return len(meanings) == 1


def unconfirmed(first: Match) -> Match:
    """The verdict of the first look alone: what it took for a word that was only near is asked back."""
    is_unsure = first.best is not None and (not first.best.is_literal or first.best.is_as_written)
    if first.kind is MatchKind.ACCEPT and is_unsure:
        return first.model_copy(update={"kind": MatchKind.DOUBTFUL, "reason": Reason.UNSURE})
    return first


def is_sure(again: Hearing) -> bool:
    """Whether the better recogniser alone may be believed: hums and coughs it writes as short words, but unsurely."""
    text, log_prob = again.hypotheses[0]
    return len(text.split()) > _FEW_WORDS or log_prob >= _SURE_LOG_PROB


def may_be_brief(held: Match, *looks: Match) -> bool:
    """Whether nothing was understood, or only that something of the kind was asked for."""
    if held.kind is MatchKind.ACCEPT or any(look.reason is Reason.UNFINISHED for look in looks):
        return False
    return held.best is None or held.best.intent in CONTROLS


def clear(looks: Sequence[Look], found: Sequence[Match], held: Match) -> list[Look]:
    """The looks that may object to what is held: not those that are garbled beside the ones that heard the same."""
    meaning = held.best.meaning if held.best is not None else ()
    same = [
        _log_prob(look)
        for look, match in zip(looks, found, strict=True)
        if match.best and match.best.meaning == meaning
    ]
    least = min(_GARBLED_LOG_PROB, max(same) - _SURER) if same else float("-inf")
    return [look for look in looks if _log_prob(look) >= least]


def _log_prob(look: Look) -> float:
    return look.hypotheses[0][1] if look.hypotheses else float("-inf")


def settle(first: Match, second: Match) -> Match:
    """The verdict of two looks: the better recogniser decides, but an act that it does not confirm is asked back."""
    if second.kind is MatchKind.ACCEPT or first.kind is MatchKind.UNKNOWN:
        return second
    if first.kind is MatchKind.ACCEPT:
        return first.model_copy(update={"kind": MatchKind.DOUBTFUL, "reason": Reason.UNSURE})
    return second if second.kind is MatchKind.DOUBTFUL else first
