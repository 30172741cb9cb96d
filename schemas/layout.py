"""Laying frames over the words of an utterance: which words are the fixed parts, which are left for the slots.

Owns the search and its bounds. A layout covers every word, but for a lead-in ("could you please"); nothing that was
said is silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from schemas.beginnings import tells_what_happened
from schemas.grammar import Frame, Grammar
from schemas.lead_ins import LEAD_INS, NO_COMMAND_LEAD_INS
from schemas.likeness import Phrases, likeness
from schemas.strangers import is_literal, strangers
from schemas.wording import plain

#: Most words of an utterance that are laid out; more than that is no command.
MAX_WORDS = 28
#: Score from which a fixed part counts as said: in general, where it is the frame's only word, and if that is short.
LEAST_FIXED, LEAST_FIXED_WORD, LEAST_FIXED_SHORT, SHORT_LETTERS = 60.0, 72.0, 80.0, 7
#: Score from which words count as a lead-in, and what each missing point of it costs.
LEAST_LEAD_IN, LEAD_IN_COST = 62.0, 0.15
#: Score from which nobody else may be meant: "anna searched …" is near to "and a search …".
SURE_LEAD_IN = 82.0
#: Score from which "don't …", "did you …" or "he said …" makes it no command.
REFUSAL = 88.0
#: Words behind which nothing is asked for.
NEGATIONS = frozenset({"not", "never", "ever", "nobody", "no"})
#: Words before which a request is somebody else's.
OTHERS = NEGATIONS | {"he", "she", "they", "who", "somebody"}
#: Most that a lead-in may cost before a form without slots, which has nothing else to be sure by.
SLOTLESS_PENALTY = 2.0
#: Most words of a lead-in, of a name and of a free text; most words that a recogniser splits or joins.
MAX_LEAD_IN, MAX_NAME, MAX_TEXT, STRETCH = 6, 9, 10, 2
#: Layouts of one utterance that go on to the names.
MAX_LAYOUTS = 24

Span = tuple[int, int]
#: ``hits[fixed part][start]`` are the ends at which it may lie, with scores.
Hits = Mapping[int, Mapping[int, Sequence[tuple[int, float]]]]
_NOWHERE: Mapping[int, Sequence[tuple[int, float]]] = {}


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to read an utterance.

    Attributes:
        start: the word behind the lead-in.
        spans: the words of each slot.
        score: that of the fixed parts.
        penalty: what the lead-in costs.
        strangers: content words of the fixed parts, said or wanted, that have no counterpart.
        is_literal: the fixed parts were said word for word.
        is_led: what was said before it leads into a request, so far as that is known.
        sureness: how much more is asked of its names than of those in a pattern.
    """

    frame: Frame
    start: int
    spans: tuple[Span, ...]
    score: float
    penalty: float
    strangers: int = 0
    is_literal: bool = True
    is_led: bool = True
    sureness: float = 0.0


@dataclass(frozen=True, slots=True)
class _Starts:
    """Where a command may begin, with what the lead-in before it costs, and its strangers.

    At the starts in `unled` what was said before is no lead-in. With `refused`, words at the beginning that give no
    command, only frames that begin with them are meant.
    """

    costs: Mapping[int, float]
    strangers: Mapping[int, int]
    unled: AbstractSet[int]
    refused: str

    def allow(self, frame: Frame) -> bool:
        """Whether `frame` can be meant."""
        first = frame.fixed[0]
        return not self.refused or (bool(first) and (first.startswith(self.refused) or self.refused.startswith(first)))

    def usable_for(self, frame: Frame) -> list[int]:
        """The starts from which `frame` may be laid."""
        if frame.is_ending:
            return [0]
        most = 100.0 if frame.slots else SLOTLESS_PENALTY
        return [start for start, cost in self.costs.items() if cost <= most]


class Layouts:
    """Finds layouts; holds what can be prepared once per grammar."""

    def __init__(self, grammar: Grammar) -> None:
        self._fixed = grammar.fixed
        numbers = {part: number for number, part in enumerate(grammar.fixed.texts)}
        self._plans: dict[int, list[_Plan]] = {}
        for frame in grammar.frames:
            plan = _Plan.of(frame, numbers)
            self._plans.setdefault(next(part for part in plan.parts if part >= 0), []).append(plan)
        self._lengths = np.array([len(part.split()) for part in grammar.fixed.texts])
        self._negated = _negated(grammar.fixed)
        self._longest = int(self._lengths.max(initial=1)) + STRETCH
        self._lead_ins = Phrases.of([plain(form) for form in LEAD_INS])
        self._no_command = Phrases.of([plain(form) for form in NO_COMMAND_LEAD_INS])
        self._refusals = [tuple(form.split()) for form in self._no_command.texts]

    def find(self, utterances: Sequence[tuple[str, ...]]) -> list[list[Layout]]:
        """The best layouts of each utterance, best first; one comparison serves all of them."""
        texts: dict[str, int] = {}
        spans = [self._spans(words, texts) for words in utterances]
        phrases = Phrases.of(list(texts))
        hits = self._hits(phrases)
        starts = [self._starts(words) for words in utterances]
        # "don't …" may be lost in a worse hypothesis; that the likeliest one has it decides for all.
        starts = [replace(start, refused=start.refused or starts[0].refused) for start in starts]
        return [
            self._layouts(words, _hits_by_part(rows, hits), start)
            for words, rows, start in zip(utterances, spans, starts, strict=True)
        ]

    def refuse(self, words: tuple[str, ...]) -> bool:
        """Whether words begin in a way that gives no command: "don't …", "he said …"."""
        return tells_what_happened(words) or any(words[: len(form)] == form for form in self._refusals)

    def _spans(self, words: tuple[str, ...], texts: dict[str, int]) -> list[tuple[int, int, int]]:
        """Every run of words as (start, end, number of its text); `texts` collects the texts."""
        count = len(words)
        return [
            (start, end, texts.setdefault(" ".join(words[start:end]), len(texts)))
            for start in range(count)
            for end in range(start + 1, min(count, start + self._longest) + 1)
        ]

    def _hits(self, phrases: Phrases) -> dict[int, list[tuple[int, float]]]:
        """For each text the fixed parts that it may be."""
        scores = likeness(phrases, self._fixed)
        counts = np.array([len(text.split()) for text in phrases.texts])
        fits = (scores >= LEAST_FIXED) & (abs(counts[:, None] - self._lengths[None]) <= STRETCH)
        # However near the letters are: "ever compress" and "not compress" are not "compress".
        fits &= ~(_negated(phrases)[:, None] & ~self._negated[None])
        found: dict[int, list[tuple[int, float]]] = {}
        rows, columns = np.nonzero(fits)
        for row, column, score in zip(rows.tolist(), columns.tolist(), scores[fits].tolist(), strict=True):
            found.setdefault(row, []).append((column, score))
        return found

    def _starts(self, words: tuple[str, ...]) -> _Starts:
        """Where a command may begin behind a lead-in, and whether what is said is no command at all."""
        heads = Phrases.of([" ".join(words[:end]) for end in range(1, min(len(words), MAX_LEAD_IN + 1))])
        costs, unknown = {0: 0.0}, {0: 0}
        unled: set[int] = set()
        if not len(heads):
            return _Starts(costs, unknown, unled, "")
        likes = likeness(heads, self._lead_ins)
        friendly = likes.max(axis=1).tolist()
        nearest = [self._lead_ins.texts[int(number)] for number in likes.argmax(axis=1)]
        other = likeness(heads, self._no_command).max(axis=1).tolist()
        for place, (score, against) in enumerate(zip(friendly, other, strict=True), start=1):
            if score >= LEAST_LEAD_IN and score > against and OTHERS.isdisjoint(words[:place]):
                costs[place] = (100 - score) * LEAD_IN_COST
                odd = strangers(heads.texts[place - 1], nearest[place - 1])
                unknown[place] = max(odd, int(score < SURE_LEAD_IN))
                if odd:
                    unled.add(place)
        refused = [h for h, f, a in zip(heads.texts, friendly, other, strict=True) if a >= REFUSAL and a > f]
        if tells_what_happened(words):
            refused.append(" ".join(words[:2]))
        return _Starts(costs, unknown, unled, refused[0] if refused else "")

    def _layouts(self, words: tuple[str, ...], hits: Hits, starts: _Starts) -> list[Layout]:
        found = [
            Layout(plan.frame, start, spans, score, starts.costs[start])
            for plan in self._possible(hits, starts)
            for start in starts.usable_for(plan.frame)
            for spans, score in plan.places(hits, start, len(words))
        ]
        found.sort(key=lambda layout: (layout.penalty - layout.score, -layout.frame.letters))
        return [
            replace(
                layout,
                strangers=starts.strangers[layout.start] + sum(strangers(*pair) for pair in _pairs(layout, words)),
                is_literal=all(is_literal(*pair) for pair in _pairs(layout, words)),
                is_led=layout.start not in starts.unled,
            )
            for layout in found[:MAX_LAYOUTS]
        ]

    def _possible(self, hits: Hits, starts: _Starts) -> Iterator[_Plan]:
        """The plans of which every fixed part was said, the first of them where a command may begin."""
        for part, places in hits.items():
            for plan in self._plans.get(part, ()):
                if plan.parts[0] >= 0 and starts.costs.keys().isdisjoint(places):
                    continue
                if all(other < 0 or other in hits for other in plan.parts) and starts.allow(plan.frame):
                    yield plan


@dataclass(frozen=True, slots=True)
class _Plan:
    """A frame ready to be laid out.

    Attributes:
        parts: the numbers of the fixed parts, -1 for an empty one; `weights` are their letters.
        least: score from which a fixed part counts as said.
        longest: most words of each slot.
    """

    frame: Frame
    parts: tuple[int, ...]
    weights: tuple[int, ...]
    least: float
    longest: tuple[int, ...]

    @classmethod
    def of(cls, frame: Frame, numbers: Mapping[str, int]) -> _Plan:
        parts = tuple(numbers.get(part, -1) for part in frame.fixed)
        weights = tuple(len(part) for part in frame.fixed)
        longest = tuple(MAX_TEXT if slot.kind == "text" else MAX_NAME for slot in frame.slots)
        return cls(frame, parts, weights, _least_fixed(frame), longest)

    def places(self, hits: Hits, start: int, count: int) -> Iterator[tuple[tuple[Span, ...], float]]:
        """All ways to lay the frame on the words from `start` to the end, with the score of the fixed parts."""
        last = len(self.parts) - 1
        states: list[tuple[int, tuple[Span, ...], float]] = [(start, (), 0.0)]
        for number, part in enumerate(self.parts):
            found = hits.get(part, _NOWHERE)
            grown: list[tuple[int, tuple[Span, ...], float]] = []
            for position, spans, total in states:
                for begin in self._begins(number, position, count):
                    over = (*spans, (position, begin)) if number else spans
                    if part < 0:
                        grown.append((begin, over, total))
                    for end, score in found.get(begin, ()):
                        if score >= self.least and (number < last or end == count):
                            grown.append((end, over, total + score * self.weights[number]))
            states = grown
        for _, spans, total in states:
            yield spans, total / max(self.frame.letters, 1)

    def _begins(self, number: int, position: int, count: int) -> Iterable[int]:
        """Where fixed part `number` may begin when the part before it ended at `position`."""
        if number == 0:
            return (position,)
        furthest = min(count, position + self.longest[number - 1])
        if self.parts[number] < 0:
            return (count,) if position < count == furthest else ()
        return range(position + 1, furthest + 1)


def _pairs(layout: Layout, words: tuple[str, ...]) -> list[tuple[str, str]]:
    """What was said where each fixed part lies, with that part."""
    bounds = [layout.start, *(place for span in layout.spans for place in span), len(words)]
    said = [" ".join(words[start:end]) for start, end in zip(bounds[::2], bounds[1::2], strict=True)]
    return list(zip(said, layout.frame.fixed, strict=True))


def _negated(phrases: Phrases) -> npt.NDArray[np.bool_]:
    return np.array([not NEGATIONS.isdisjoint(text.split()) for text in phrases.texts], np.bool_)


def _least_fixed(frame: Frame) -> float:
    if sum(len(part.split()) for part in frame.fixed) > 1:
        return LEAST_FIXED
    return LEAST_FIXED_SHORT if frame.letters < SHORT_LETTERS else LEAST_FIXED_WORD


def _hits_by_part(spans: Sequence[tuple[int, int, int]], hits: Mapping[int, list[tuple[int, float]]]) -> Hits:
    by_part: dict[int, dict[int, list[tuple[int, float]]]] = {}
    for start, end, text in spans:
        for part, score in hits.get(text, ()):
            by_part.setdefault(part, {}).setdefault(start, []).append((end, score))
    return by_part
