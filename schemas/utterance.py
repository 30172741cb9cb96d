"""What was said, and what is meant by it.

Hypotheses of a recogniser, or a typed text, go in; a `Match` comes out. Deterministic; a name, however odd, cannot
break it or make it slow. The words are compared once for all hypotheses, then the spans left for names, and only these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from schemas.caveats import may_be_misheard
from schemas.closest import Closest
from schemas.control import ANSWERS, CONTROLS, ControlIntent
from schemas.free_text import text_span
from schemas.grammar import UNFINISHED, Frame, Grammar
from schemas.guess import Guesses, guessed
from schemas.keyword_form import Slot
from schemas.keywords import Keywords
from schemas.layout import MAX_WORDS, Layout, Layouts
from schemas.lexicon import Found, Lexicon, article, bare
from schemas.match import (
    FEW_WORDS,
    LEAST_LOG_PROB,
    MARGIN,
    Candidate,
    Hypothesis,
    Match,
    MatchKind,
    Reading,
    Reason,
    doubted,
    verdict,
)
from schemas.mentions import mentions
from schemas.number_words import read_number
from schemas.pronouns import Pronouns
from schemas.repair import Repairs
from schemas.request_model import RequestModel
from schemas.spoken_name import folder_names, object_names
from schemas.strangers import strangers
from schemas.taken_back import as_meant
from schemas.template import Template
from schemas.wording import Words, heard

#: What a unit of average log probability costs against the best hypothesis.
LOG_PROB_COST = 12.0
#: What it costs to point back to a name instead of saying it in its place.
POINTING_COST = 2.0
#: What free text costs, since it fits anything: "find the top words in …" is no search for "the top words".
TEXT_COST = 8.0
#: What it costs to be only a part of a request, so that a whole one that is equally near wins.
UNFINISHED_COST = 4.0
#: What a letter of a frame's own words is worth between two readings of one meaning.
LETTER_BONUS = 0.3
#: Hypotheses that are looked at.
MAX_HYPOTHESES = 8
#: So many of the likeliest are searched for names that they take back; with 2,000 objects each takes some 40 ms.
MAX_CORRECTED = 3
#: Words of what the model is asked about.
MAX_GUESSED = 60
#: Words that a name has at most where it is looked for in the whole of what was said.
_SPAN = 5
#: Words that take back what stands beside them.
_TAKING_BACK = frozenset({"not", "never", "nobody", "wait"})
#: Score from which something in the store may have been named, though it was misheard.
_MENTIONED = 75.0

Heard = Mapping[tuple[str, ...], tuple[Words, float]]
Near = Mapping[tuple[str, str], list[Found]]


class Matcher:
    """Matches utterances against a catalogue and the names in the store.

    Args:
        templates: what can be asked for.
        remotes: the objects that there are.
        model: says what is asked for where no form fits; without it, only forms count.
    """

    def __init__(
        self, templates: Iterable[Template], remotes: Iterable[str] = (), model: RequestModel | None = None
    ) -> None:
        self._grammar = Grammar(templates)
        self._guesses = None if model is None else Guesses(self._grammar, model)
        self._layouts = Layouts(self._grammar)
        self._keywords = Keywords(self._grammar.keyword_forms)
        self._closest = Closest(self._grammar.frames, self._grammar.verbs)
        self._repairs = Repairs(self._grammar)
        self._pronouns = Pronouns(self._grammar.verbs)
        self._fixed_lexicons = {"task": Lexicon.of_pairs(self._grammar.task_names())}
        choices: dict[str, list[tuple[str, str]]] = {}
        for kind, form, value in self._grammar.choices():
            choices.setdefault(kind, []).append((form, value))
        self._fixed_lexicons |= {kind: Lexicon.of_pairs(pairs) for kind, pairs in choices.items()}
        self._lexicons: Mapping[str, Lexicon] = {}
        self.rename(remotes)

    def rename(self, remotes: Iterable[str]) -> None:
        """Take the objects that now exist, as remotes; quick where most of them are known already."""
        known = tuple(remotes)
        self._lexicons = {
            **self._fixed_lexicons,
            "object": Lexicon.of_names(object_names(r for r in known if not r.endswith("/"))),
            "folder": Lexicon.of_names(folder_names(known)),
        }

    @property
    def lexicons(self) -> Mapping[str, Lexicon]:
        """The names that there are, by kind."""
        return self._lexicons

    def match(self, said: str | Sequence[Hypothesis], *, answer_expected: bool = False) -> Match:
        """What is meant by `said`, a typed text or the hypotheses of a recogniser.

        Args:
            said: one text, or hypotheses in any order.
            answer_expected: a question is open, so yes and no are understood.
        """
        match = self._matched(said, answer_expected)
        if isinstance(said, str) or match.kind is not MatchKind.ACCEPT or match.intent in CONTROLS:
            return match
        return doubted(match) if may_be_misheard(heard(match.text).words) else match

    def _matched(self, said: str | Sequence[Hypothesis], answer_expected: bool) -> Match:
        utterances = _heard(said, self._lexicons)
        if not utterances:
            return self._rambled(said)
        text, top = next(iter(utterances.values()))
        utterances |= self._resolved(text, top)
        best: dict[tuple[str, ...], Candidate] = {}
        for candidate in self._candidates(utterances, top, answer_expected):
            known = best.get(candidate.meaning)
            if known is None or (candidate.strangers == 0, candidate.rank) > (known.strangers == 0, known.rank):
                best[candidate.meaning] = candidate
        ranked = sorted(_complete(best.values()), key=lambda c: (-c.standing, c.meaning))
        is_faint = len(text.words) <= FEW_WORDS and top < LEAST_LOG_PROB
        match = verdict(ranked, text.text, is_faint=is_faint, is_typed=isinstance(said, str))
        if self._guesses is None:
            return match
        if is_faint or match.kind is MatchKind.ACCEPT:
            return self._guesses.completed(match, text, self._lexicons)
        is_open = answer_expected and match.reason is Reason.TIE
        if is_open or (match.best is not None and not self._guesses.knows(match.best.intent)):
            return match
        guess = self._guesses.guess(text, self._lexicons, is_refused=self._layouts.refuse(text.words))
        return guessed(match, guess, is_typed=isinstance(said, str))

    def _rambled(self, said: str | Sequence[Hypothesis]) -> Match:
        """What is meant by more words than are laid out; only the model may tell."""
        nothing = Match(kind=MatchKind.UNKNOWN, reason=Reason.NOTHING)
        if self._guesses is None or not said:
            return nothing
        text = said if isinstance(said, str) else max(said, key=lambda hypothesis: hypothesis.log_prob).text
        whole = heard(text)
        if not 0 < len(whole.words) <= MAX_GUESSED:
            return nothing
        guess = self._guesses.guess(whole, self._lexicons, is_refused=self._layouts.refuse(whole.words))
        return guessed(nothing.model_copy(update={"text": text}), guess, is_typed=isinstance(said, str))

    def name(self, said: str | Sequence[Hypothesis], kind: str = "object") -> tuple[Found, ...]:
        """The names nearest to `said` alone, best first: the answer to "which one?"."""
        spans = [" ".join(words) for words in _heard(said, self._lexicons)]
        found = [name for names in self._lexicons[kind].nearest(spans) for name in names]
        best: dict[str, Found] = {}
        for name in sorted(found, key=lambda name: -name.score):
            best.setdefault(name.value, name)
        return tuple(best.values())

    def hints(self, said: str, limit: int) -> Sequence[str]:
        """Names as they are spoken: all where there are no more than `limit`, else the nearest to a part of `said`."""
        kinds = ("object", "folder")
        if sum(len(self._lexicons[kind].spoken) for kind in kinds) <= limit:
            return [name for kind in kinds for name in self._lexicons[kind].spoken]
        words = heard(said).words[:MAX_WORDS]
        spans = [" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, min(i + _SPAN, len(words)) + 1)]
        found = [name for kind in kinds for names in self._lexicons[kind].nearest(spans) for name in names]
        return list(dict.fromkeys(name.spoken for name in sorted(found, key=lambda name: -name.score)))[:limit]

    def is_about_names(self, said: Sequence[str]) -> bool:
        """Whether something in the store is named in one of several hearings."""
        return any(mentions(heard(text).words[:MAX_WORDS], self._lexicons, _MENTIONED) for text in said)

    def forbids(self, said: Sequence[str]) -> bool:
        """Whether one of several hearings asks for nothing, or takes something back."""
        texts = [heard(text).words for text in said]
        return any(self._layouts.refuse(words) or not _TAKING_BACK.isdisjoint(words) for words in texts)

    def closest(self, said: Sequence[str], limit: int, rivals: int) -> list[Reading]:
        """The requests most like `said`, and their rivals, where no form fits it; see `Closest.find`."""
        if any(self._layouts.refuse(heard(text).words) for text in said):
            return []
        return self._closest.find(said, self._lexicons, limit, rivals)

    def brief(self, said: Sequence[str], limit: int) -> list[Reading]:
        """The nearest of what is said in a few words to ask for status, help and the like; see `Closest.brief`."""
        if any(self._layouts.refuse(heard(text).words) for text in said):
            return []
        return self._closest.brief(said, self._lexicons, limit)

    def repaired(self, said: Sequence[str], hearings: Sequence[str], limit: int, rivals: int) -> list[Reading]:
        """The requests that a few misheard words make of `said`, and their rivals; see `Repairs.find`.

        What both recognisers heard denied is not repaired: "don zip" is a letter away from "don't zip".
        """
        written = (heard(text).words for text in said[:2])
        if all(self._layouts.refuse(words) and not _TAKING_BACK.isdisjoint(words) for words in written):
            return []
        return self._repairs.find(said, hearings, self._lexicons, self._asked, limit, rivals)

    def _asked(self, text: str) -> Reading | None:
        """The task that a text clearly asks for, or to cancel, if it takes no free words: these would fit anything.

        So does a cancel that no form has: "kill the inventory" may have been "kit inventory".
        """
        match = self.match([Hypothesis(text=text)])
        best = match.best
        if match.kind is not MatchKind.ACCEPT or best is None or best.has_text:
            return None
        is_cancel = best.intent == ControlIntent.CANCEL and not best.is_guessed
        return best if best.intent not in CONTROLS or is_cancel else None

    def _resolved(self, text: Words, log_prob: float) -> dict[tuple[str, ...], tuple[Words, float]]:
        """What the likeliest hypothesis asks for where it points back to a name; a little less likely for that."""
        if self._layouts.refuse(text.words) or len(text.words) > MAX_WORDS:
            return {}
        anew = self._pronouns.resolved(text, self._lexicons)
        ways = [way for whole in anew for way in (whole.without_courtesy(), whole) if way.words]
        return {way.words: (way, log_prob - POINTING_COST / LOG_PROB_COST) for way in ways}

    def _candidates(self, utterances: Heard, top: float, answer_expected: bool) -> Iterator[Candidate]:
        loose = [self._keywords.find(words) for words in utterances]
        if self._layouts.refuse(next(iter(utterances))):
            # What the likeliest hypothesis forbids, no reading of it and no worse one may start.
            loose = [[layout for layout in found if layout.frame.intent in CONTROLS] for found in loose]
        layouts = [[*near, *free] for near, free in zip(self._layouts.find(list(utterances)), loose, strict=True)]
        near = self._nearest(utterances, layouts)
        for (words, log_prob), found in zip(utterances.values(), layouts, strict=True):
            handicap = LOG_PROB_COST * (top - log_prob)
            for layout in found:
                if answer_expected or layout.frame.intent not in ANSWERS:
                    yield from _readings(layout, words, near, handicap)

    def _nearest(self, utterances: Heard, layouts: list[list[Layout]]) -> Near:
        """The names near to every span that a layout leaves for one, by kind and text of the span."""
        wanted: dict[str, dict[str, None]] = {}
        for words, found in zip(utterances, layouts, strict=True):
            for layout in found:
                for slot, (start, end) in zip(layout.frame.slots, layout.spans, strict=True):
                    if slot.kind in self._lexicons:
                        wanted.setdefault(slot.kind, {})[" ".join(words[start:end])] = None
        return {
            (kind, span): names
            for kind, spans in wanted.items()
            for span, names in zip(spans, self._lexicons[kind].nearest(list(spans)), strict=True)
        }


def _complete(meanings: Collection[Candidate]) -> list[Candidate]:
    """Without those that leave out a value of another one that is as near: "the four most frequent words" says four."""
    return [
        one
        for one in meanings
        if not any(
            one.frame.intent == other.frame.intent
            and one.filled.items() < other.filled.items()
            and other.standing >= one.standing - MARGIN
            for other in meanings
        )
    ]


def _heard(
    said: str | Sequence[Hypothesis], lexicons: Mapping[str, Lexicon]
) -> dict[tuple[str, ...], tuple[Words, float]]:
    """Each different sequence of words once, the likeliest first, with its log probability; corrected by `lexicons`."""
    hypotheses = (Hypothesis(text=said),) if isinstance(said, str) else tuple(said)[:MAX_HYPOTHESES]
    result: dict[tuple[str, ...], tuple[Words, float]] = {}
    for number, hypothesis in enumerate(sorted(hypotheses, key=lambda h: -h.log_prob)):
        whole = heard(hypothesis.text)
        if number < MAX_CORRECTED:
            whole = as_meant(whole, lexicons)
        # Both are laid out: "thanks" behind a command says nothing, but "say that again" needs its last word.
        for words in (whole.without_courtesy(), whole):
            if 0 < len(words.words) <= MAX_WORDS:
                result.setdefault(words.words, (words, hypothesis.log_prob))
    return result


def _readings(layout: Layout, words: Words, near: Near, handicap: float) -> Iterator[Candidate]:
    """Every way to fill the slots of a layout."""
    frame = layout.frame
    partial: list[tuple[dict[str, Found], float]] = [({}, 0.0)]
    for slot, (start, end) in zip(frame.slots, layout.spans, strict=True):
        values = _values(slot, words, start, end, near)
        partial = [
            ({**filled, slot.name: value}, weight + len(value.form))
            for filled, weight in partial
            for value in values
            if value.value not in {other.value for other in filled.values()}
        ]
    for filled, weight in partial:
        total = layout.score * frame.letters + sum(v.score * len(v.form) for v in filled.values())
        score = total / (frame.letters + weight) - layout.penalty - handicap - _cost(frame)
        rank = score + LETTER_BONUS * frame.letters * frame.has_text
        named = _named(layout, words, filled)
        yield Candidate(
            frame=frame,
            filled=filled,
            meaning=_meaning(frame, filled),
            score=score,
            fixed=layout.score,
            rank=rank,
            around=_around(layout, words),
            # What was said in other words is weighed as it was said, and in no form.
            forms={} if words.origin else _forms(layout, words, filled),
            strangers=layout.strangers + sum(strangers(*pair, is_name=True) for pair in named),
            sureness=layout.sureness,
            is_literal_but_names=layout.is_literal,
            is_led=layout.is_led,
            named=named,
            origin=words.origin,
        )


def _named(layout: Layout, words: Words, filled: Mapping[str, Found]) -> list[tuple[str, str]]:
    """What was said where each name stands, with that name."""
    spans = zip(layout.frame.slots, layout.spans, strict=True)
    pairs = [(bare(" ".join(words.words[start:end])), filled[slot.name].form) for slot, (start, end) in spans]
    return [(said, form) for said, form in pairs if form]


def _around(layout: Layout, words: Words) -> tuple[str, str]:
    """What was said before the request itself, and behind it."""
    return words.text[: words.places[layout.start][0]].rstrip(), words.text[words.places[-1][1] :]


def _forms(layout: Layout, words: Words, filled: Mapping[str, Found]) -> dict[str, str]:
    """What would have been said in each slot, if this is what was meant."""
    return {
        slot.name: article(" ".join(words.words[start:end])) + filled[slot.name].form
        if filled[slot.name].form
        else filled[slot.name].spoken
        for slot, (start, end) in zip(layout.frame.slots, layout.spans, strict=True)
    }


def _meaning(frame: Frame, filled: Mapping[str, Found]) -> tuple[str, ...]:
    if frame.intent == UNFINISHED:
        return (UNFINISHED,)
    return (frame.intent, *sorted(filled[slot.name].value for slot in frame.slots if slot.kind != "text"))


def _cost(frame: Frame) -> float:
    if frame.intent == UNFINISHED:
        return UNFINISHED_COST
    return TEXT_COST if frame.has_text else 0.0


def _values(slot: Slot, words: Words, start: int, end: int, near: Near) -> Sequence[Found]:
    """What the words ``start:end`` can be in `slot`; text and numbers have no form and so no weight in the score."""
    if slot.kind == "text":
        if (span := text_span(words.words, start, end)) is None:
            return ()
        text = words.original(*span)
        return (Found(text, text, "", 100.0),)
    if slot.kind in {"integer", "number"}:
        number = read_number(words.words[start:end])
        return () if number is None else (Found(str(number), str(number), "", 100.0),)
    return near[slot.kind, " ".join(words.words[start:end])]
