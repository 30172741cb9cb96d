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
from itertools import pairwise

from schemas.caveats import may_be_misheard
from schemas.control import CONTROLS
from schemas.foreign import DOING_MORE
from schemas.likeness import Phrases, likeness
from schemas.match import Match, MatchKind, Reading, Reason, doubted
from schemas.small_words import GLUE
from schemas.strangers import goes_on, is_shortened
from schemas.template import Template
from voice.services.hearing import Hearing, Weight

#: Nats per token, summed over the models, by which a sentence may be less likely than what was written by itself: up to
#: here it is what was said, from there on it is not.
SURE_GAP, WRONG_GAP = 2.7, 6.0
#: The same where both recognisers wrote the same: they seldom mishear alike.
SURE_GAP_AGREED = 2.0
#: The same over the whole sentence: in a long one a wrong name is a small part.
SURE_NATS = 33.5
#: Nats per token for the small model alone, with which what was accepted, but not word for word, is confirmed at once.
QUICK_GAP = 1.2
#: Nats by which another meaning must be less likely.
LEAST_LEAD = 2.0
#: What the small model's weight counts where free words are chosen: it hears them worse.
_SMALL_SHARE = 0.25
#: Meanings that are held against the sound, wordings of all of them, and how many of each are weighed by both models: a
#: text takes the small model 5 to 20 ms and the other one 15 to 45.
MAX_READINGS, MAX_WORDINGS, MAX_WEIGHED = 3, 20, 2
#: Wordings by which the small model alone confirms: of 138 spoken requests that it may confirm, 103 with 10 of them and
#: 102 with 6.
MAX_QUICK_WORDINGS = 6
#: Score of a meaning from which it is worth asking the sound.
LEAST_SCORE = 58.0
#: Words behind which a request has its verb; it may begin with it, too.
_BEFORE_VERBS = frozenset({"", "please", "you", "to", "and", "then", "so", "me", "just"})
#: What nothing here does, in one word.
_FOREIGN = DOING_MORE - GLUE
_RIGHT = frozenset({"write"})
_SLOT, _WORD = re.compile(r"\{(\w+)\}"), re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Weighed:
    """A reading with what the sound says of it, over all models.

    Attributes:
        gap: nats per token by which it is less likely than what was written.
        nats: the same over the whole sentence.
        log_prob: its log probability in nats.
        by_words: the same, where the better model counts more; of the same request with other free words the one that
            has most of it was said.
    """

    reading: Reading
    gap: float
    nats: float
    log_prob: float
    by_words: float = 0.0


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
    alike = likeness(plain_phrases(worded), plain_phrases(written)).max(axis=1, initial=0.0)
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
    found = weighed(best, weights, len(written))
    # The models do not weigh an end: a sentence cut short is as likely as the whole of it.
    return [one for one in found if not any(is_shortened(one.reading.wording, text) for text in written)]


async def confirms(hearing: Hearing, match: Match, templates: Mapping[str, Template]) -> bool:
    """Whether the small model alone is sure of what was accepted; it costs a fifth of a second instead of one."""
    readings = readings_of(match)
    if match.best is None or not readings or readings[0] != match.best or not match.best.is_led:
        return False
    wordings = _all_wordings(readings, templates, [hearing.text], MAX_QUICK_WORDINGS)
    sketched = await hearing.sketch([*(spellings(text)[0] for _, text in wordings), hearing.text])
    if sketched is None or is_shortened(match.best.wording, hearing.text):
        return False
    ranked = sorted(zip(sketched, wordings, strict=False), key=lambda pair: -pair[0].log_prob)
    own = [(weight, text) for weight, (of, text) in ranked if of is match.best]
    others = [(weight, text) for weight, (of, text) in ranked if of is not match.best]
    # Only the likeliest of each are weighed in their other spelling.
    nearest = [*own[:1], *others[:1]]
    respelt = await hearing.sketch([spellings(text)[1] for _, text in nearest])
    if respelt is None:
        return False
    best, *rival = [max(one, two, key=lambda w: w.log_prob) for (one, _), two in zip(nearest, respelt, strict=True)]
    gap = (sketched[-1].log_prob - best.log_prob) / (best.tokens + 1)
    return gap <= QUICK_GAP and all(best.log_prob - one.log_prob >= LEAST_LEAD for one in rival)


async def bears_out(hearing: Hearing, text: str) -> bool:
    """Whether the small model thinks it possible, though it wrote something else, that `text` was said."""
    sketched = await hearing.sketch([text, hearing.text])
    if sketched is None:
        return False
    said, own = sketched
    return (own.log_prob - said.log_prob) / (said.tokens + 1) <= WRONG_GAP


async def of_better_words(hearing: Hearing, first: Match, second: Match, written: Sequence[str]) -> Match:
    """The second of two looks at one request, or the first where only the words to look for differ and its fit better.

    Args:
        hearing: the sound.
        first: what the small recogniser's look means.
        second: what the better one's means.
        written: what each of them wrote.
    """
    if not _differ_in_words(first, second):
        return second
    weights = await hearing.weigh(written)
    if weights is None:
        return second
    one, other = (_SMALL_SHARE * small.log_prob + better.log_prob for small, better in weights)
    return first if one > other else second


def _differ_in_words(first: Match, second: Match) -> bool:
    """Whether both clearly ask for the same but for the free words in it."""
    one, other = first.best, second.best
    if one is None or other is None or not (first.kind is second.kind is MatchKind.ACCEPT):
        return False
    return one.has_text and other.has_text and one.meaning == other.meaning and one.slots != other.slots


def uncontradicted(match: Match, *looks: Match) -> Match:
    """The verdict, but asked back where the words of a look clearly ask for something else, as they were written.

    "All of the exams fold with a single zip" is a folder's; that "all of the exam results with a single zip" sounds
    like it, too, proves nothing while the folder was not held against it.
    """
    best = match.best
    if match.kind is not MatchKind.ACCEPT or best is None or best.intent in CONTROLS:
        return match
    others = [look.best for look in looks if look.kind is MatchKind.ACCEPT and look.best is not None]
    # A number that one look alone heard is no contradiction.
    is_doubted = any(
        other.is_as_written
        and other.intent not in CONTROLS
        and other.meaning != best.meaning
        and not (other.intent == best.intent and other.slots.items() <= best.slots.items())
        for other in others
    )
    return doubted(match) if is_doubted else match


def undisputed(match: Match, written: Sequence[str]) -> Match:
    """The verdict, but asked back where what was written says of the file what nothing here does.

    "Edit the night shift" sounds like "audit the night shift", and where both recognisers wrote the one, the other was
    not said; nor was a guess where one of them wrote such a word first. And "and zip it" may have been "unzip it".
    """
    best = match.best
    if match.kind is not MatchKind.ACCEPT or best is None or best.intent in CONTROLS:
        return match
    foreign = _FOREIGN - set(_WORD.findall(best.wording.lower()))
    texts = [_WORD.findall(text.lower()) for text in written]
    if any(may_be_misheard(words) for words in texts):
        is_disputed = True
    elif best.is_guessed:
        # "Right, …" is written "write …".
        foreign -= _RIGHT if best.wording.lower().startswith("right") else frozenset()
        is_disputed = any(not foreign.isdisjoint(words[:1]) for words in texts)
    else:
        is_disputed = not best.is_literal and all(not foreign.isdisjoint(_verbs(words)) for words in texts)
    return doubted(match) if is_disputed else match


def unshortened(match: Match, written: Sequence[str]) -> Match:
    """The verdict, but asked back where one of the texts goes on behind the request: "… tomorrow", "… and email it".

    The models do not weigh an end.
    """
    best = match.best
    if match.kind is not MatchKind.ACCEPT or best is None:
        return match
    is_cut = any(goes_on(best.wording, text) or is_shortened(best.wording, text) for text in written)
    return doubted(match) if is_cut else match


def _verbs(words: Sequence[str]) -> set[str]:
    """The words that stand where a request has its verb: "edit …", "could you edit …", not "a slow edit of …"."""
    return {word for before, word in pairwise(["", *words]) if before in _BEFORE_VERBS}


def _all_wordings(
    readings: Sequence[Reading], templates: Mapping[str, Template], written: Sequence[str], limit: int = MAX_WORDINGS
) -> list[tuple[Reading, str]]:
    share = limit // len(readings)
    return [(reading, text) for reading in readings for text in wordings_of(reading, templates, written, share)]


def are_agreed(written: Sequence[str]) -> bool:
    """Whether two recognisers wrote the same."""
    texts = plain_phrases(written).texts
    return len(texts) > len(set(texts))


def plain_phrases(texts: Sequence[str]) -> Phrases:
    """The texts without case and punctuation."""
    return Phrases.of([" ".join(_WORD.findall(text.lower())) for text in texts])


def weighed(best: Sequence[tuple[Reading, str]], weights: Sequence[Sequence[Weight]], written: int) -> list[Weighed]:
    """Each reading by its likeliest wording, held against the likeliest of what was written (the last weights).

    Of each of `best` there are as many weights as it has spellings.
    """
    ways = (len(weights) - written) // len(best)
    free = weights[len(weights) - written :]
    most = [max(row[model].log_prob for row in free) for model in range(len(free[0]))]
    found: dict[int, Weighed] = {}
    for number, (reading, _) in enumerate(best):
        row = max(weights[ways * number : ways * (number + 1)], key=lambda row: sum(weight.log_prob for weight in row))
        total = sum(weight.log_prob for weight in row)
        nats = sum(most) - total
        if id(reading) not in found or total > found[id(reading)].log_prob:
            by_words = _SMALL_SHARE * row[0].log_prob + row[-1].log_prob
            found[id(reading)] = Weighed(reading, nats / (row[0].tokens + 1), nats, total, by_words)
    return sorted(found.values(), key=lambda one: -one.log_prob)


def verified(match: Match, found: Sequence[Weighed], written: Sequence[str] = ()) -> Match:
    """The verdict of words and sound together.

    The likeliest task is accepted where the sound is sure of it and it does not contradict what was accepted by words;
    what was accepted by words and is not in the sound is asked back.

    Args:
        match: the verdict of the words.
        found: what the sound says, likeliest first.
        written: what the recognisers wrote.
    """
    if not found:
        return match
    top, best = found[0], match.best
    rivals = [one for one in found[1:] if one.reading.meaning != top.reading.meaning]
    is_alone = not rivals or top.log_prob - rivals[0].log_prob >= LEAST_LEAD
    most = SURE_GAP_AGREED if match.kind is not MatchKind.ACCEPT and are_agreed(written) else SURE_GAP
    is_sure = top.gap <= most and top.nats <= SURE_NATS and top.reading.is_led and is_alone
    if match.kind is MatchKind.ACCEPT and best is not None and best.intent in CONTROLS:
        return match
    if is_sure and (match.kind is not MatchKind.ACCEPT or (best is not None and top.reading.meaning == best.meaning)):
        said = max(_of_other_words(top, found, most), key=lambda one: one.by_words).reading
        return match.model_copy(update={"kind": MatchKind.ACCEPT, "reason": Reason.CLEAR, "best": said})
    if match.kind is MatchKind.ACCEPT and best is not None:
        own = next((one for one in found if one.reading.meaning == best.meaning), None)
        # What was written as it was said is in the sound, however poor another wording of it is.
        is_missing = own is not None and not best.is_as_written and own.gap > WRONG_GAP
        if own is None and not (is_sure and best.is_as_written):
            return match
        if is_sure or is_missing:
            return match.model_copy(update={"kind": MatchKind.DOUBTFUL, "reason": Reason.UNSURE})
    return match


def _of_other_words(top: Weighed, found: Sequence[Weighed], most: float) -> list[Weighed]:
    """The likeliest, and the same request with other words to look for, where the sound is as sure of it."""
    if not top.reading.has_text:
        return [top]
    sure = (one for one in found if one.gap <= most and one.nats <= SURE_NATS and one.reading.is_led)
    return [one for one in sure if one.reading.meaning == top.reading.meaning and one.reading.has_text] or [top]
