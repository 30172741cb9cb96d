"""Holding a meaning against the sound: could these have been the words?

A recogniser writes what it finds likeliest among all that can be said; "hash the february sales" may come out as
"hashna fableary sale". Asked about a given sentence it still says how likely that one is, and between what was said and
anything else that starts a task there is mostly a wide gap (`benchmarks/hear_corpus.py` shows what follows from it). So
what words leave in doubt, sound settles; and what sound contradicts is not done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.closest import FOREIGN
from schemas.control import CONTROLS, ControlIntent
from schemas.likeness import Phrases, likeness
from schemas.match import Match, MatchKind, Reading, Reason
from schemas.strangers import goes_on, is_shortened
from schemas.template import Template
from voice.services.hearing import Hearing, Weight

#: Nats per token, summed over the models, by which a sentence may be less likely than what was written by itself: up to
#: here it is what was said, from there on it is not.
SURE_GAP, WRONG_GAP = 2.7, 6.0
#: The same over the whole sentence: in a long one a wrong name is a small part.
SURE_NATS = 31.0
#: Nats per token for the small model alone, with which what was accepted, but not word for word, is confirmed at once.
QUICK_GAP = 1.2
#: Nats by which another meaning must be less likely.
LEAST_LEAD = 2.0
#: Nats per token by which a sentence that no words suggest may be less likely than what was written: in general, where
#: both recognisers wrote the same, and for what is said without a name. Every other must be less likely by the last.
CLOSEST_GAP, CLOSEST_GAP_AGREED, CLOSEST_GAP_NAMELESS, CLOSEST_LEAD = 3.3, 2.0, 1.5, 6.0
#: Of the sentences most like what was written, and of their rivals: how many are sketched, and weighed.
SKETCHED_CLOSEST, SKETCHED_RIVALS, MAX_CLOSEST, MAX_RIVALS = 20, 8, 4, 2
#: Meanings that are held against the sound, wordings of all of them, and how many of each are weighed by both models: a
#: text takes the small model some 5 ms and the other one 15.
MAX_READINGS, MAX_WORDINGS, MAX_WEIGHED = 3, 20, 2
#: Score of a meaning from which it is worth asking the sound.
LEAST_SCORE = 58.0
_SLOT, _WORD = re.compile(r"\{(\w+)\}"), re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Weighed:
    """A reading with what the sound says of it, over all models.

    Attributes:
        gap: nats per token by which it is less likely than what was written.
        nats: the same over the whole sentence.
        log_prob: its log probability in nats.
    """

    reading: Reading
    gap: float
    nats: float
    log_prob: float


def readings_of(*matches: Match) -> list[Reading]:
    """The tasks that may be meant, each once, the best of each match first.

    What starts nothing needs no proof, and what was written proves nothing of itself.
    """
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Reading] = {}
    best = [match.best for match in matches if match.best is not None]
    for reading in (*best, *(other for match in matches for other in match.others)):
        can_be_weighed = reading.wording and not reading.is_as_written
        if reading.intent not in CONTROLS and can_be_weighed and reading.score >= LEAST_SCORE:
            found.setdefault((reading.intent, tuple(sorted(reading.slots.items()))), reading)
    return list(found.values())[:MAX_READINGS]


def wordings_of(
    reading: Reading, templates: Mapping[str, Template], written: Sequence[str], limit: int = MAX_WORDINGS
) -> list[str]:
    """How a reading may have been worded: as it was understood, and in the patterns most like what was written.

    Args:
        reading: what may have been meant.
        templates: by name.
        written: what the recognisers wrote.
        limit: how many wordings there may be.
    """
    template = templates.get(reading.intent)
    patterns = [p for p in template.patterns if set(_SLOT.findall(p)) == reading.forms.keys()] if template else []
    worded = list(dict.fromkeys(reading.worded(pattern) for pattern in patterns))
    alike = likeness(_plain(worded), _plain(written)).max(axis=1, initial=0.0)
    nearest = sorted(zip(worded, alike, strict=True), key=lambda pair: -pair[1])
    return list(dict.fromkeys([reading.wording, *(text for text, _ in nearest)]))[:limit]


def spellings(wording: str) -> tuple[str, str]:
    """How a recogniser may write a wording: it is weighed in both, and the likelier counts."""
    body = wording.strip().rstrip(".?! ,")
    end = wording.strip()[len(body) :].strip(" ,") or "."
    return body, f"{body[:1].upper()}{body[1:]}{end}"


async def sketch(hearing: Hearing, readings: Sequence[Reading], templates: Mapping[str, Template]) -> None:
    """Ask the small model now what `weigh` will ask it, while the other one is at work on something else."""
    if readings:
        wordings = _all_wordings(readings, templates, [hearing.text])
        await hearing.sketch([spellings(text)[0] for _, text in wordings])


async def weigh(
    hearing: Hearing, readings: Sequence[Reading], written: Sequence[str], templates: Mapping[str, Template]
) -> list[Weighed]:
    """What the sound says of `readings`, likeliest first; empty where it cannot be asked.

    The small model sketches all wordings of all readings, both models weigh the likeliest of each.

    Args:
        hearing: the sound.
        readings: at least one.
        written: what the recognisers wrote by themselves.
        templates: by name.
    """
    wordings = _all_wordings(readings, templates, written)
    sketched = await hearing.sketch([spellings(text)[0] for _, text in wordings])
    if sketched is None:
        return []
    best: list[tuple[Reading, str]] = []
    for reading in readings:
        own = [(w.log_prob, text) for (of, text), w in zip(wordings, sketched, strict=True) if of is reading]
        best += [(reading, text) for _, text in sorted(own, reverse=True)[:MAX_WEIGHED]]
    weights = await hearing.weigh([*(s for _, text in best for s in spellings(text)), *written])
    if weights is None:
        return []
    found = _weighed(best, weights, len(written))
    # The models do not weigh an end: a sentence cut short is as likely as the whole of it.
    return [one for one in found if not any(is_shortened(one.reading.wording, text) for text in written)]


async def confirms(hearing: Hearing, match: Match, templates: Mapping[str, Template]) -> bool:
    """Whether the small model alone is sure of what was accepted; it costs a tenth of a second instead of one."""
    readings = readings_of(match)
    if match.best is None or not readings or readings[0] != match.best or not match.best.is_led:
        return False
    wordings = _all_wordings(readings, templates, [hearing.text], MAX_WORDINGS // 2)
    sketched = await hearing.sketch([*(s for _, text in wordings for s in spellings(text)), hearing.text])
    if sketched is None or is_shortened(match.best.wording, hearing.text):
        return False
    own = max(2 * number for number, (of, _) in enumerate(wordings) if of is match.best) + 2
    best = max(sketched[:own], key=lambda weight: weight.log_prob)
    gap = (sketched[-1].log_prob - best.log_prob) / (best.tokens + 1)
    rival = max((weight.log_prob for weight in sketched[own:-1]), default=float("-inf"))
    return gap <= QUICK_GAP and best.log_prob - rival >= LEAST_LEAD


async def weigh_closest(hearing: Hearing, closest: Sequence[Reading], written: Sequence[str]) -> list[Weighed]:
    """What the sound says of whole sentences that are like what was written, and of their rivals; likeliest first.

    Args:
        hearing: the sound.
        closest: the sentences, at least one (`schemas.closest`).
        written: what the recognisers wrote by themselves.
    """
    sketched = await hearing.sketch([spellings(one.wording)[0] for one in closest])
    if sketched is None:
        return []
    likeliest = [one for _, one in sorted(zip(sketched, closest, strict=True), key=lambda pair: -pair[0].log_prob)]
    own = [one for one in likeliest if one.intent != FOREIGN][:MAX_CLOSEST]
    best = [*own, *[one for one in likeliest if one.intent == FOREIGN][:MAX_RIVALS]]
    weights = await hearing.weigh([*(s for one in best for s in spellings(one.wording)), *written])
    return _weighed([(one, one.wording) for one in best], weights, len(written)) if weights else []


def chosen(match: Match, found: Sequence[Weighed], written: Sequence[str]) -> Match:
    """The verdict where only the sound could tell what was asked for: it must be much surer than it is of a reading."""
    if not found or found[0].reading.intent == FOREIGN:
        return match
    top, others = found[0], [one for one in found if one.reading.meaning != found[0].reading.meaning]
    is_alone = all(top.log_prob - one.log_prob >= CLOSEST_LEAD for one in others)
    most = CLOSEST_GAP if len(_plain(written).texts) == len(set(_plain(written).texts)) else CLOSEST_GAP_AGREED
    # A cancel is read back before anything is done.
    if top.reading.intent in CONTROLS and top.reading.intent != ControlIntent.CANCEL:
        most = min(most, CLOSEST_GAP_NAMELESS)
    is_sure = top.gap <= most and top.nats <= SURE_NATS and is_alone
    if not is_sure or any(goes_on(top.reading.wording, text) for text in written):
        return match
    return match.model_copy(update={"kind": MatchKind.ACCEPT, "reason": Reason.CLEAR, "best": top.reading})


def _all_wordings(
    readings: Sequence[Reading], templates: Mapping[str, Template], written: Sequence[str], limit: int = MAX_WORDINGS
) -> list[tuple[Reading, str]]:
    share = limit // len(readings)
    return [(reading, text) for reading in readings for text in wordings_of(reading, templates, written, share)]


def _plain(texts: Sequence[str]) -> Phrases:
    return Phrases.of([" ".join(_WORD.findall(text.lower())) for text in texts])


def _weighed(best: Sequence[tuple[Reading, str]], weights: Sequence[Sequence[Weight]], written: int) -> list[Weighed]:
    """Each reading by its likeliest wording, held against the likeliest of what was written (the last weights)."""
    free = weights[len(weights) - written :]
    most = [max(row[model].log_prob for row in free) for model in range(len(free[0]))]
    found: dict[int, Weighed] = {}
    for number, (reading, _) in enumerate(best):
        row = max(weights[2 * number : 2 * number + 2], key=lambda row: sum(weight.log_prob for weight in row))
        total = sum(weight.log_prob for weight in row)
        nats = sum(most) - total
        if id(reading) not in found or total > found[id(reading)].log_prob:
            found[id(reading)] = Weighed(reading, nats / (row[0].tokens + 1), nats, total)
    return sorted(found.values(), key=lambda one: -one.log_prob)


def verified(match: Match, found: Sequence[Weighed]) -> Match:
    """The verdict of words and sound together.

    The likeliest task is accepted where the sound is sure of it and it does not contradict what was accepted by words;
    what was accepted by words and is not in the sound is asked back.
    """
    if not found:
        return match
    top, best = found[0], match.best
    rivals = [one for one in found[1:] if one.reading.meaning != top.reading.meaning]
    is_alone = not rivals or top.log_prob - rivals[0].log_prob >= LEAST_LEAD
    is_sure = top.gap <= SURE_GAP and top.nats <= SURE_NATS and top.reading.is_led and is_alone
    if match.kind is MatchKind.ACCEPT and best is not None and best.intent in CONTROLS:
        return match
    if is_sure and (match.kind is not MatchKind.ACCEPT or (best is not None and top.reading.meaning == best.meaning)):
        return match.model_copy(update={"kind": MatchKind.ACCEPT, "reason": Reason.CLEAR, "best": top.reading})
    if match.kind is MatchKind.ACCEPT and best is not None:
        own = next((one for one in found if one.reading.meaning == best.meaning), None)
        if own is None and not (is_sure and best.is_as_written):
            return match
        if is_sure or (own is not None and own.gap > WRONG_GAP):
            return match.model_copy(update={"kind": MatchKind.DOUBTFUL, "reason": Reason.UNSURE})
    return match
