"""Free wordings: a request found by its key words, whatever small words stand around them.

People do not keep to patterns: "i need a compressed version of the phone bill" has none, but its words say what is
meant. A form fits when its key words stand in its order and every other word is explained: a lead-in before them, small
words between, a name in each slot. One word that is not explained ("delete", "pages", "boring") and nothing fits; this
keeps near misses out where a score cannot. The idea is that of robust semantic grammars (Ward's Phoenix, ICASSP 1991),
made strict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise, product

from schemas.beginnings import beginnings, without_purpose
from schemas.control import CONTROLS
from schemas.grammar import Frame
from schemas.keyword_form import KeywordForm, Slot
from schemas.layout import MAX_NAME, MAX_TEXT, Layout, Span
from schemas.small_words import (
    AGAIN,
    BEHIND,
    BETWEEN_LEAD_INS,
    DEMANDING,
    GLUE,
    GOING_ON,
    HAVING,
    HENCE,
    MADE,
    STATING,
    TELLING,
    WANTING,
    WISHING,
)

#: What it costs not to follow a pattern, and that more was said behind it.
KEYWORDS_COST, TAIL_COST = 2.0, 3.0
#: How much surer than in a pattern a name must be, and where more was said behind it.
SURENESS, SURENESS_BEFORE_TAIL = 10.0, 26.0
#: Layouts of one utterance; who rambles in key words has said nothing.
MAX_LAYOUTS = 160
#: Most small words that are left out on each side of a name.
_MAX_TRIM = 7


class Keywords:
    """Finds the layouts of keyword forms."""

    def __init__(self, forms: Iterable[KeywordForm]) -> None:
        self._forms = list(dict.fromkeys(order for form in forms for order in _orders(form)))
        alternatives = [e for form in self._forms for e in form.elements if not isinstance(e, Slot)]
        self._known = {word for some in alternatives for words in some for word in words}
        # Not of forms with free text: "is pepper mentioned in …" asks.
        doing = [f for f in self._forms if f.intent not in CONTROLS and all(slot.kind != "text" for slot in f.slots)]
        tasks = [e for form in doing for e in form.elements if not isinstance(e, Slot)]
        self._done = {w for some in tasks for words in some for w in words if w.endswith("ed")}
        self._spellings = {_american(word): word for word in self._known}

    def find(self, words: tuple[str, ...]) -> list[Layout]:
        """Every form that explains all of `words`."""
        if self._only_tells(words):
            return []
        # Uncut too: the purpose may be a part of a name.
        ways = dict.fromkeys([words, without_purpose(words)])
        return list(islice((layout for way in ways for layout in self._find(way)), MAX_LAYOUTS))

    def _find(self, words: tuple[str, ...]) -> Iterator[Layout]:
        spelled = tuple(self._spelled(word) for word in words)
        present = frozenset(spelled)
        starts = beginnings(words, is_name_first=False)
        # "open the letter and count its words": what was opened must be spoken of again.
        is_meant_again = not AGAIN.isdisjoint(words)
        name_starts = beginnings(words, is_name_first=True) if is_meant_again else starts
        for form in self._forms:
            if any(present.isdisjoint(need) for need in form.needs):
                continue
            for start, opened in _laid(form, spelled, name_starts if isinstance(form.elements[0], Slot) else starts):
                for spans in product(*(_names(spelled, form, n, span) for n, span in enumerate(opened))):
                    yield _layout(form, words, start, spans)

    def _spelled(self, word: str) -> str:
        """The key word that `word` is, perhaps in another spelling, or `word` itself."""
        if word in self._known or word in GLUE:
            return word
        return self._spellings.get(_american(word), word)

    def _only_tells(self, words: tuple[str, ...]) -> bool:
        """Whether it is said, or asked, that something was done; "a zipped copy of …" and "i need it zipped" ask."""
        done = [place for place, word in enumerate(words) if word in self._done]
        if any(place and words[place - 1] in HAVING and not _is_wanted(words[:place]) for place in done):
            return True
        is_told = any(words[place + 1 : place + 2] and words[place + 1] not in MADE for place in done)
        is_told |= bool(done) and done[-1] == len(words) - 1
        return is_told and WISHING.isdisjoint(words)


def _is_wanted(before: Sequence[str]) -> bool:
    """Whether what was done is wished for: "i need it to be zipped", "it should be zipped"."""
    is_demanded = before[-1] == "be" and not DEMANDING.isdisjoint(before[-2:])
    return is_demanded or not WANTING.isdisjoint(before)


def _american(word: str) -> str:
    """One spelling for both: "summarise", "catalogue", "colour"."""
    return word.replace("is", "iz").replace("ys", "yz").replace("our", "or").replace("ogue", "og")


def _orders(form: KeywordForm) -> Iterator[KeywordForm]:
    """The form, and for one name behind key words also the name before or among them: "the letter, compress it"."""
    yield form
    *first, last = form.elements
    if isinstance(last, Slot) and len(form.slots) == 1 and last.kind not in {"text", "task"}:
        for place in range(len(first)):
            yield replace(form, elements=(*first[:place], last, *first[place:]))


def _laid(form: KeywordForm, words: tuple[str, ...], starts: Iterable[int]) -> Iterator[tuple[int, tuple[Span, ...]]]:
    """Every way to lay the form on `words`, as the beginning and the words of each slot."""
    for start in starts:
        for spans in _placed(form, words, 0, start, None):
            yield start, spans


def _placed(
    form: KeywordForm, words: tuple[str, ...], number: int, place: int, opened: int | None
) -> Iterator[tuple[Span, ...]]:
    """The spans of the slots from element `number` on, laid from `place`; `opened` is where a slot before it begins."""
    count = len(words)
    if number == len(form.elements):
        if opened is not None:
            yield from [((opened, count),)] if opened < count else ()
        elif all(word in GLUE or word in BEHIND or word in form.extras for word in words[place:]):
            yield ()
        return
    element = form.elements[number]
    if isinstance(element, Slot):
        yield from _placed(form, words, number + 1, place, place)
        return
    for begin in range(place if opened is None else place + 1, count):
        for some in element:
            if words[begin : begin + len(some)] == some:
                for spans in _placed(form, words, number + 1, begin + len(some), None):
                    yield spans if opened is None else ((opened, begin), *spans)
        # Before the first key word only the form's own words are skipped: lead-ins end where they must.
        if (
            opened is None
            and words[begin] not in form.extras
            and words[begin] not in (GLUE if number else BETWEEN_LEAD_INS)
        ):
            return


def _names(words: tuple[str, ...], form: KeywordForm, number: int, span: Span) -> Iterator[Span]:
    """The span of a name without the small words on both sides; how many belong to the name, only names can tell."""
    start, end = span
    if form.slots[number].kind == "text":
        yield from [span] if end - start <= MAX_TEXT else ()
        return
    starts, ends = [start], [end]
    while len(starts) <= _MAX_TRIM and starts[-1] < end - 1 and words[starts[-1]] in GLUE | form.extras:
        starts.append(starts[-1] + 1)
    while len(ends) <= _MAX_TRIM and ends[-1] - 1 > start and words[ends[-1] - 1] in GLUE | BEHIND | form.extras:
        ends.append(ends[-1] - 1)
    if number == 0 and isinstance(form.elements[0], Slot) and words[end - 1] in HENCE:  # "the letter is big so zip it"
        ends += [place for place in range(start + 1, end) if words[place] in STATING and place not in ends]
    if end == len(words):  # "… the letter, i have to hand it in"
        told = next((place for place in range(start, end) if words[place] in TELLING), None)
        if told is None:
            ends += [place for place in range(start + 1, end) if words[place] in GOING_ON and place not in ends]
    for pair in product(starts, ends):
        if 0 < pair[1] - pair[0] <= MAX_NAME:
            yield pair


def _layout(form: KeywordForm, words: tuple[str, ...], start: int, spans: tuple[Span, ...]) -> Layout:
    end = spans[-1][1] if spans and isinstance(form.elements[-1], Slot) else len(words)
    has_tail = any(word not in GLUE and word not in BEHIND and word not in form.extras for word in words[end:])
    cost, sureness = (TAIL_COST, SURENESS_BEFORE_TAIL) if has_tail else (0.0, SURENESS)
    return Layout(
        _frame(form, words, start, spans),
        start,
        spans,
        100.0,
        KEYWORDS_COST + cost,
        sureness=sureness,
    )


def _frame(form: KeywordForm, words: tuple[str, ...], start: int, spans: tuple[Span, ...]) -> Frame:
    """The form as it was worded this time."""
    bounds = [start, *(place for span in spans for place in span), len(words)]
    fixed = tuple(" ".join(words[begin:end]) for begin, end in list(pairwise(bounds))[::2])
    return Frame(form.intent, fixed, form.slots)
