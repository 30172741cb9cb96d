"""A request in words that no form has: the model says what is asked for, the names in it say of what.

Owns the bounds between acting, asking back and nothing, and that a guess leaves nothing out: all names that were said
are used, a number that may be meant is taken, and what takes free words is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.caveats import is_explained, makes_it_none
from schemas.control import CONTROLS
from schemas.grammar import Grammar
from schemas.keyword_form import KeywordForm, Slot
from schemas.lexicon import Found, Lexicon, bare
from schemas.match import MARGIN, Match, MatchKind, Reading, Reason
from schemas.mentions import FOLDER, Mention, mentions, with_names
from schemas.number_words import is_number_word, read_number
from schemas.request_model import NOTHING, RequestModel, features
from schemas.strangers import is_literal
from schemas.template import Parameter, ParameterType, Template
from schemas.wording import Words

#: Probability from which it is done: a task, what is said of a task that is named, and of none; and asked back.
ACT, ACT_CONTROL_OF, ACT_CONTROL, ASK = 0.75, 0.9, 0.985, 0.5
#: The least score of a name, and of the name of a kind of task; below, it may be another one.
LEAST_NAME, LEAST_TASK_NAME = 85.0, 95.0
#: Words that the name of a kind of task has at most.
_TASK_WORDS = 4


@dataclass(frozen=True, slots=True)
class _Slots:
    """The parameters of a template that a guess can fill."""

    names: tuple[tuple[str, str], ...]
    number: tuple[str, Parameter] | None


class Guesses:
    """Guesses over a catalogue. A template with other parameters that must be given is never guessed.

    Args:
        grammar: what can be asked for.
        model: what it is likely to be.
    """

    def __init__(self, grammar: Grammar, model: RequestModel) -> None:
        self._model = model
        known = [template for template in grammar.templates if model.knows(template)]
        self._slots = {template.name: slots for template in known if (slots := _slots(template))}
        self._verbs, self._known = grammar.verbs, _words_of(grammar.keyword_forms)

    def knows(self, intent: str) -> bool:
        """Whether the model was taught it; what is near to another request is left to the rules."""
        return intent in self._model.labels

    def guess(self, whole: Words, lexicons: Mapping[str, Lexicon]) -> tuple[Reading, float] | None:
        """What is asked for, with its probability, 0 to 1; None where it cannot be told or asks for nothing."""
        said = whole.without_courtesy().words
        named = mentions(said, lexicons, LEAST_NAME)
        label, probability = self._model.predict(features(said, named))
        if label == NOTHING or probability < ASK or any(one.lead < MARGIN for one in named):
            return None
        if makes_it_none(said, named, self._verbs, label):
            return None
        if not is_explained(said, named, self._known.get(label, ())):
            probability = min(probability, ASK)
        filled = self._filled(label, said, named, lexicons)
        if filled is None:
            return None
        values = {name: found.value for name, found in filled.items()}
        reading = Reading(
            intent=label,
            slots=values,
            spoken={name: found.spoken for name, found in filled.items()},
            meaning=(label, *sorted(values.values())),
            score=round(100 * probability, 2),
            weakest=round(min((found.score for found in filled.values()), default=100.0), 2),
            forms={name: found.form or found.spoken for name, found in filled.items()},
            wording=with_names(whole, named),
            is_literal=all(is_literal(_name(said, one), one.found.form) for one in named),
            is_guessed=True,
            is_as_written=True,
        )
        return reading, probability

    def completed(self, match: Match, whole: Words, lexicons: Mapping[str, Lexicon]) -> Match:
        """The same with the number that was said and that no form took: "show me the fifteen words used most"."""
        best = match.best
        slots = self._slots.get(best.intent) if best else None
        if best is None or match.kind is not MatchKind.ACCEPT or slots is None or slots.number is None:
            return match
        name, parameter = slots.number
        said = whole.without_courtesy().words
        named = mentions(said, lexicons, LEAST_NAME)
        # The number may belong to a name that was misheard.
        is_clear = name not in best.slots and len(named) == len(slots.names)
        number = _number(said, named, parameter) if is_clear else ""
        if number == "":
            return match
        if number is None:
            return match.model_copy(update={"kind": MatchKind.DOUBTFUL, "reason": Reason.UNSURE})
        values = {"slots": {**best.slots, name: number}, "spoken": {**best.spoken, name: number}}
        return match.model_copy(update={"best": best.model_copy(update=values)})

    def _filled(
        self, label: str, said: Sequence[str], named: Sequence[Mention], lexicons: Mapping[str, Lexicon]
    ) -> dict[str, Found] | None:
        if label in CONTROLS:
            return None if named else _task(said, lexicons["task"])
        slots = self._slots.get(label)
        if slots is None or [kind for _, kind in slots.names] != [one.kind for one in named]:
            return None
        filled = {name: one.found for (name, _), one in zip(slots.names, named, strict=True)}
        if len({found.value for found in filled.values()}) < len(filled):
            return None
        if slots.number is None:
            # Another number than the name's: "the price list 2024" is not that of 2023.
            return None if _runs(said, named) else filled
        number = _number(said, named, slots.number[1])
        if number:
            filled[slots.number[0]] = Found(number, number, "", 100.0)
        return None if number is None else filled


def guessed(match: Match, found: tuple[Reading, float] | None, *, is_typed: bool) -> Match:
    """The verdict of rules and model: the model speaks where the rules do not act."""
    if match.kind is MatchKind.ACCEPT or found is None:
        return match
    reading, probability = found
    is_control = reading.intent in CONTROLS
    least = ACT if not is_control else ACT_CONTROL_OF if reading.slots else ACT_CONTROL
    is_sure = probability >= least and (not is_typed or reading.is_literal)
    others = tuple(other for other in (match.best, *match.others) if other and other.meaning != reading.meaning)
    if is_sure:
        return Match(kind=MatchKind.ACCEPT, reason=Reason.CLEAR, best=reading, others=others, text=match.text)
    if match.kind is MatchKind.UNKNOWN and not is_control:
        return Match(kind=MatchKind.DOUBTFUL, reason=Reason.UNSURE, best=reading, others=others, text=match.text)
    return match


def _words_of(forms: Iterable[KeywordForm]) -> dict[str, set[str]]:
    """For each intent the words that stand in its forms."""
    known: dict[str, set[str]] = {}
    for form in forms:
        groups = [element for element in form.elements if not isinstance(element, Slot)]
        said = {word for group in groups for some in group for word in some}
        known.setdefault(form.intent, set()).update(said, form.extras)
    return known


def _slots(template: Template) -> _Slots | None:
    """What is needed; None where it needs more than names."""
    names: list[tuple[str, str]] = []
    number: tuple[str, Parameter] | None = None
    for name, parameter in template.parameters.items():
        if parameter.type in {ParameterType.OBJECT, ParameterType.FOLDER}:
            names.append((name, parameter.type.value))
        elif parameter.is_required:
            return None
        elif parameter.type is ParameterType.INTEGER and any(f"{{{name}}}" in p for p in template.patterns):
            number = (name, parameter)
    return _Slots(tuple(names), number) if names else None


def _task(said: Sequence[str], tasks: Lexicon) -> dict[str, Found] | None:
    """The kind of task that is spoken of, if any; None where it may be one of several."""
    spans = [" ".join(said[a:b]) for a in range(len(said)) for b in range(a + 1, min(a + _TASK_WORDS, len(said)) + 1)]
    found = [names[0] for names in tasks.nearest(spans) if names and names[0].score >= LEAST_TASK_NAME]
    longest = [one for one in found if len(one.form) == max(len(other.form) for other in found)]
    if len({one.value for one in longest}) > 1:
        return None
    return {"task": longest[0]} if longest else {}


def _number(said: Sequence[str], named: Sequence[Mention], parameter: Parameter) -> str | None:
    """The number that is said outside the names, as digits; empty where there is none, None where it is unclear."""
    runs = _runs(said, named)
    if not runs:
        return ""
    number = read_number(runs[0]) if len(runs) == 1 else None
    if number is None or number < (parameter.minimum or 0) or number > (parameter.maximum or number):
        return None
    return str(number)


def _name(said: Sequence[str], one: Mention) -> str:
    words = said[one.start : one.end]
    return bare(" ".join(word for word in words if one.kind != "folder" or word not in FOLDER))


def _runs(said: Sequence[str], named: Sequence[Mention]) -> list[list[str]]:
    """The numbers that are said outside the names, word by word."""
    inside = {place for one in named for place in range(one.start, one.end)}
    runs: list[list[str]] = []
    is_open = False
    for place, word in enumerate(said):
        is_number = place not in inside and is_number_word(word) and word != "one"
        if is_number and is_open:
            runs[-1].append(word)
        elif is_number:
            runs.append([word])
        is_open = is_number
    return runs
