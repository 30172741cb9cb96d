"""The requests that are most like what was heard, where no form fits it.

A recogniser that misses the verb writes something that sounds like it: "could use it the office folder" for "could you
zip the office folder". No word is left that a form could hold on to, but the sentence as a whole is still alike. So the
names that were heard are put into every form, and of these sentences the nearest are found, for the sound to choose
from. Their rivals are found with them: what people ask to be done to files that nothing here does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar, cast

import numpy as np

from schemas.beginnings import beginnings
from schemas.control import ANSWERS, CONTROLS, ControlIntent
from schemas.foreign import FOREIGN, FOREIGN_PAIRS, FOREIGN_VERBS
from schemas.grammar import UNFINISHED, Frame
from schemas.keyword_form import Slot
from schemas.layout import MAX_WORDS, OTHERS
from schemas.lead_ins import LEAD_INS
from schemas.lexicon import Found, Lexicon
from schemas.likeness import Phrases, likeness
from schemas.match import Reading
from schemas.small_words import DENYING, words
from schemas.wording import Words, heard, plain

#: Names of each kind that are looked at, the least score of one, and words that one has at most.
_NAMES, _LEAST_NAME, _SPAN = 2, 70.0, 5
#: Names that a kind of task has at first, and the least score of another one of it.
_MAIN_NAMES, _LEAST_TASK = 2, 70.0
#: Score from which words count as a lead-in that was misheard, how many are tried, and words that one has at most.
_LEAST_LEAD_IN, _LEAD_INS, _LEAD_IN_WORDS = 66.0, 6, 8
#: Likeness from which a sentence may be what was said.
LEAST_LIKENESS = 72.0
#: A sentence is found in several ways; so many times more are looked at than are wanted.
_SPARE = 20
_PAIR = (Slot("first", "object"), Slot("second", "object"))
_ARTICLES = (" the", " my", " a")
_KINDS = {"object", "folder", "task"}
#: With these words ends what leads to a verb or a thing: "could you", not "what is".
_LEADING = words("you to and me need want like hey hi okay so well now then also first computer sisyphus")
#: Sentences of one meaning that are found.
_WORDINGS = 4
#: Words of what is brief, and what may be said in one: of one more is like it, and "help" is like a hum.
_BRIEF, _BRIEF_ALONE = 4, frozenset({ControlIntent.CANCEL, ControlIntent.STATUS})
#: What is said briefly to be understood in what was heard otherwise; to fall silent has a way of its own.
_BRIEF_INTENTS = CONTROLS - ANSWERS - {ControlIntent.QUIET}
#: Where one of them was said, nothing is asked for, whatever else it is like.
_TELLING = OTHERS | DENYING
_BRIEF_TELLING = (_TELLING | words("if unless until when once without yesterday later tomorrow")) - words("cancel stop")

_PLEASE = re.compile(r"\bplease\W*$", re.IGNORECASE)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Bare:
    """A request without what is said around it; `forms` are the names as they would be said."""

    frame: Frame
    filled: Mapping[str, Found]
    forms: dict[str, str]

    @property
    def text(self) -> str:
        """What would be said."""
        said = [self.frame.fixed[0]]
        for slot, fixed in zip(self.frame.slots, self.frame.fixed[1:], strict=True):
            said += [self.forms[slot.name], fixed]
        return " ".join(part for part in said if part)


@dataclass(frozen=True, slots=True)
class _Split:
    """A way to cut what was heard into a lead-in as it would be written, the rest, and what is said behind."""

    lead_in: str
    tail: str
    score: float
    rest: str


class Closest:
    """Finds the sentences; holds what can be prepared once per grammar.

    Args:
        frames: what can be asked for.
        verbs: what it begins with, which is no rival's.
    """

    def __init__(self, frames: Iterable[Frame], verbs: Collection[str]) -> None:
        own = [f for f in frames if f.intent != UNFINISHED and f.intent not in ANSWERS]
        kinds = [{slot.kind for slot in frame.slots} for frame in own]
        self._frames = [f for f, needs in zip(own, kinds, strict=True) if needs <= _KINDS]
        self._rivals = [frame for verb in FOREIGN_VERBS if verb not in verbs for frame in _foreign(verb)]
        self._rivals += [Frame(FOREIGN, (verb, "and", ""), _PAIR) for verb in FOREIGN_PAIRS if verb not in verbs]
        self._rivals += [Frame(FOREIGN, (verb, "with", ""), _PAIR) for verb in FOREIGN_PAIRS if verb not in verbs]
        self._brief = [frame for frame in self._frames if frame.intent in _BRIEF_INTENTS]
        lead_ins = dict.fromkeys(plain(form) for form in LEAD_INS)
        self._lead_ins = Phrases.of([form for form in lead_ins if form.split()[-1] in _LEADING])

    def find(self, said: Sequence[str], lexicons: Mapping[str, Lexicon], limit: int, rivals: int) -> list[Reading]:
        """The nearest requests, best first, and then the nearest of their rivals; their likeness is their score.

        Args:
            said: what the recognisers wrote.
            lexicons: the names by kind.
            limit: how many requests there may be.
            rivals: how many rivals.

        Returns:
            nothing where no request is like it, or where it is denied or told.
        """
        utterances = [whole for whole in map(heard, said) if 0 < len(whole.words) <= MAX_WORDS]
        if not utterances or any(not _TELLING.isdisjoint(whole.words) for whole in utterances):
            return []
        splits = [split for whole in utterances for split in self._splits(whole)]
        known = _names(utterances, lexicons)
        nearest = _ranked(_filled(self._frames, known), splits, limit, _WORDINGS)
        if not nearest or nearest[0].score < LEAST_LIKENESS:
            return []
        return [*nearest, *_ranked(_filled(self._rivals, known), splits, rivals, 1)]

    def brief(self, said: Sequence[str], lexicons: Mapping[str, Lexicon], limit: int) -> list[Reading]:
        """The nearest of what is said in a few words to ask for status, help and the like: "cancel" is no "council".

        Args:
            said: what the recognisers wrote.
            lexicons: the names of kinds of tasks.
            limit: how many there may be.

        Returns:
            nothing where more words were written than that, or where it is denied or told.
        """
        utterances = [whole for whole in map(heard, said) if whole.words]
        if not utterances or any(len(whole.words) > _BRIEF for whole in utterances):
            return []
        if any(not _BRIEF_TELLING.isdisjoint(whole.words) for whole in utterances):
            return []
        bare = _filled(self._brief, {"task": lexicons["task"].names})
        short = [one for one in bare if _is_brief(one.text.split(), one.frame.intent)]
        # The sentence is weighed as a whole, and "please" is heard well.
        tail = "please" if any(_PLEASE.search(text) for text in said) else ""
        rests = [" ".join(whole.without_courtesy().words) for whole in utterances]
        splits = [_Split("", tail, 100.0, rest) for rest in rests if rest]
        # There are many kinds of tasks, and they would leave no room for what names none.
        named, others = [one for one in short if one.filled], [one for one in short if not one.filled]
        return [part for some in (others, named) for part in _ranked(some, splits, limit // 2, _WORDINGS)]

    def _splits(self, whole: Words) -> Iterator[_Split]:
        """Lead-ins that are said word for word, and behind each of them one that may have been misheard."""
        words, end = whole.words, len(whole.without_courtesy().words)
        tail = " ".join(words[end:])
        starts = beginnings(words[:end], is_name_first=False)
        for start in [place for place in starts if place < end and (place == 0 or words[place - 1] in _LEADING)]:
            lead_in = " ".join(words[:start])
            yield _Split(lead_in, tail, 100.0, " ".join(words[start:end]))
            ends = range(start + 1, min(end, start + _LEAD_IN_WORDS + 1))
            heads = [" ".join(words[start:stop]) for stop in ends]
            for stop, scores in zip(ends, likeness(Phrases.of(heads), self._lead_ins), strict=True):
                for column in cast("list[int]", np.argsort(-scores)[:_LEAD_INS].tolist()):
                    if scores[column] >= _LEAST_LEAD_IN:
                        meant = f"{lead_in} {self._lead_ins.texts[column]}".strip()
                        yield _Split(meant, tail, float(scores[column]), " ".join(words[stop:end]))


def _names(utterances: Sequence[Words], lexicons: Mapping[str, Lexicon]) -> dict[str, list[Found]]:
    """The names of each kind that were heard best; of kinds of tasks there are few, and all of them may be meant."""
    spans = {
        " ".join(whole.words[start:end])
        for whole in utterances
        for start in range(len(whole.words))
        for end in range(start + 1, min(start + _SPAN, len(whole.words)) + 1)
    }
    near = [name for names in lexicons["task"].nearest(sorted(spans), _LEAST_TASK) for name in names]
    known = {"task": _by_main_names(lexicons["task"].names, [name for name in near if name.score >= _LEAST_TASK])}
    for kind in ("object", "folder"):
        best: dict[str, Found] = {}
        found = [name for names in lexicons[kind].nearest(sorted(spans)) for name in names if name.score >= _LEAST_NAME]
        for name in sorted(found, key=lambda name: -name.score):
            best.setdefault(name.value, name)
        known[kind] = list(best.values())[:_NAMES]
    return known


def _is_brief(said: Sequence[str], intent: str) -> bool:
    return 1 < len(said) <= _BRIEF or (len(said) == 1 and intent in _BRIEF_ALONE)


def _by_main_names(names: Iterable[Found], near: Iterable[Found]) -> list[Found]:
    """Each kind of task by the names that it is called first, and by those that were heard."""
    by_value: dict[str, dict[str, Found]] = {}
    for name in names:
        # Of the title "compress a file" a lexicon keeps "compress a".
        if not name.form.endswith(_ARTICLES):
            by_value.setdefault(name.value, {})[name.form] = name
    chosen = [name for several in by_value.values() for name in list(several.values())[:_MAIN_NAMES]]
    return list({(name.value, name.form): name for name in (*chosen, *near)}.values())


def _filled(frames: Iterable[Frame], known: Mapping[str, Sequence[Found]]) -> list[_Bare]:
    """Every frame with every name, with and without an article."""
    return [
        _Bare(frame, _by_slot(frame, names), _by_slot(frame, forms))
        for frame in frames
        for names in product(*(known[slot.kind] for slot in frame.slots))
        if len({name.value for name in names}) == len(names)
        for forms in product(*(_spoken(name, before) for name, before in zip(names, frame.fixed, strict=False)))
    ]


def _by_slot(frame: Frame, values: Sequence[T]) -> dict[str, T]:
    return dict(zip((slot.name for slot in frame.slots), values, strict=True))


def _spoken(name: Found, before: str) -> tuple[str, ...]:
    """The name, and with an article where there is none yet."""
    return (name.form,) if before.endswith(_ARTICLES) else (name.form, f"the {name.form}")


def _ranked(bare: Sequence[_Bare], splits: Sequence[_Split], limit: int, most: int) -> list[Reading]:
    """The sentences most like what was heard, each once, best first."""
    if not bare or not splits:
        return []
    alike = likeness(Phrases.of([one.text for one in bare]), Phrases.of([split.rest for split in splits]))
    lengths = np.array([len(split.rest) for split in splits], np.float32)
    led = np.array([len(split.lead_in) for split in splits], np.float32)
    scores = np.array([split.score for split in splits], np.float32)
    total = (alike * lengths + scores * led) / (lengths + led)
    found: dict[str, Reading] = {}
    of_meaning: Counter[tuple[str, ...]] = Counter()
    for number in cast("list[int]", np.argsort(-total, axis=None)[: limit * _SPARE].tolist()):
        row, column = divmod(number, len(splits))
        reading = _reading(bare[row], splits[column], float(total[row, column]))
        if reading.wording not in found and of_meaning[reading.meaning] < most:
            found[reading.wording] = reading
            of_meaning[reading.meaning] += 1
    return list(found.values())[:limit]


def _reading(bare: _Bare, split: _Split, score: float) -> Reading:
    filled = bare.filled
    return Reading(
        intent=bare.frame.intent,
        slots={name: found.value for name, found in filled.items()},
        spoken={name: found.spoken for name, found in filled.items()},
        meaning=(*_act(bare.frame), *sorted(found.value for found in filled.values())),
        score=round(score, 2),
        weakest=round(min((found.score for found in filled.values()), default=100.0), 2),
        around=(split.lead_in, split.tail),
        forms=bare.forms,
        wording=" ".join(part for part in (split.lead_in, bare.text, split.tail) if part),
        is_literal=False,
    )


def _act(frame: Frame) -> tuple[str, ...]:
    return (FOREIGN, frame.fixed[0]) if frame.intent == FOREIGN else (frame.intent,)


def _foreign(verb: str) -> Iterator[Frame]:
    for kind in ("object", "folder"):
        yield Frame(FOREIGN, (verb, ""), (Slot("source", kind),))
