"""A request in words that no form has: the model says what is asked for, the names in it say of what.

Owns the bounds between acting, asking back and nothing; what the parameters hold is the business of `schemas.fill`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.caveats import is_compared, is_explained, may_make_it_none, takes_it_back
from schemas.control import CONTROLS, ControlIntent
from schemas.fill import Filler
from schemas.grammar import Grammar
from schemas.lexicon import Lexicon, bare
from schemas.match import MARGIN, Match, MatchKind, Reading, Reason, doubted
from schemas.mentions import FOLDER, Mention, mentions, with_names
from schemas.request_model import NOTHING, Prediction, RequestModel
from schemas.strangers import is_literal
from schemas.wording import Words

#: Probability from which it is done: a task, and one behind whose name more is said; and from which it is asked back.
ACT, ACT_BEFORE_MORE, ASK = 0.65, 0.7, 0.4
#: The same for what is said of a task that is named, of none, that it be canceled, and for what only tells something.
ACT_CONTROL_OF, ACT_CONTROL, ACT_CANCEL, ACT_TELLING = 0.9, 0.75, 0.87, 0.65
#: From here on the model, which has learned from both, is believed where what was said begins like something that asks
#: for nothing: as a whole, and each half of it.
SURE, LEAST_SURE = 0.95, 0.6
#: And where a word looks as if it undid a request.
LIKELY, LEAST_LIKELY = 0.91, 0.2
#: From here on, and of so many words, it is believed that what has the form of a request is none; and what is said of
#: tasks.
DENY, LEAST_DENIED, DENY_CONTROL = 0.85, 6, 0.85
#: The score of what was said as it stands in a table; there the model does not count.
_WORD_FOR_WORD = 99.9
#: Fewer words, a name being one, are a request that has a form, or a piece of one; one fewer where the model is sure.
LEAST_WORDS, SURE_OF_FEW, LEAST_SURE_OF_FEW = 4, 0.95, 0.8
#: The least score of a name; below, it may be another one.
LEAST_NAME = 85.0


class Guesses:
    """Guesses over a catalogue.

    Args:
        grammar: what can be asked for.
        model: what it is likely to be.
    """

    def __init__(self, grammar: Grammar, model: RequestModel) -> None:
        self._model, self._verbs = model, grammar.verbs
        known = [template for template in grammar.templates if model.knows(template)]
        self._filler = Filler(known, grammar.keyword_forms, model.phrases)
        self._known = CONTROLS.intersection(model.labels) | {template.name for template in known}

    def knows(self, intent: str) -> bool:
        """Whether the model was taught it; what is near to another request is left to the rules."""
        return intent in self._known

    def guess(
        self, whole: Words, lexicons: Mapping[str, Lexicon], *, is_refused: bool = False
    ) -> tuple[Reading, float] | None:
        """What is asked for, with its probability, 0 to 1; None where it cannot be told or asks for nothing.

        Args:
            whole: what was said.
            lexicons: the names by kind.
            is_refused: it begins like something that asks for nothing.
        """
        said = whole.without_courtesy().words
        named = mentions(said, lexicons, LEAST_NAME)
        predicted = self._model.predict(said, named)
        label, probability = predicted.label, predicted.probability
        named = named or self._filler.folders(label, said, lexicons)
        if label == NOTHING or probability < ASK or any(one.lead < MARGIN for one in named):
            return None
        if not self._is_believed(predicted, said, named, is_refused=is_refused):
            return None
        filled = self._filler.filled(label, whole, named, lexicons)
        if filled is None:
            return None
        if probability < ACT_BEFORE_MORE and not is_explained(said, named, self._filler.known(label) | filled.words):
            probability = min(probability, ASK)
        slots = filled.slots
        reading = Reading(
            intent=label,
            slots={name: found.value for name, found in slots.items()},
            spoken={name: found.spoken for name, found in slots.items()},
            meaning=(label, *sorted(found.value for name, found in slots.items() if name != filled.text)),
            score=round(100 * probability, 2),
            weakest=round(min((found.score for found in slots.values()), default=100.0), 2),
            has_text=filled.text is not None,
            forms={name: found.form or found.spoken for name, found in slots.items()},
            wording=whole.origin or with_names(whole, named),
            is_literal=all(is_literal(_name(said, one), one.found.form) for one in named),
            is_guessed=True,
            is_as_written=True,
        )
        return reading, probability

    def _is_believed(
        self, predicted: Prediction, said: Sequence[str], named: Sequence[Mention], *, is_refused: bool
    ) -> bool:
        """Whether the model is sure enough of a request for what may speak against it."""
        label, probability, least = predicted
        is_sure = probability >= SURE_OF_FEW and least >= LEAST_SURE_OF_FEW
        if label == ControlIntent.CANCEL and len(said) < LEAST_WORDS - is_sure:
            return False
        if label in CONTROLS:
            return least >= LEAST_LIKELY and (not is_refused or (probability >= DENY and least >= LEAST_SURE))
        if is_refused and not (probability >= SURE and least >= LEAST_SURE):
            return False
        known = self._filler.known(label)
        if _count(said, named) < LEAST_WORDS - is_sure or takes_it_back(said, named, self._verbs, known):
            return False
        is_doubted = may_make_it_none(said, named, self._verbs, known)
        return not is_doubted or (probability >= LIKELY and least >= LEAST_LIKELY)

    def completed(self, match: Match, whole: Words, lexicons: Mapping[str, Lexicon]) -> Match:
        """The same with what was said and no form took, and without what a form took and was not meant.

        What a form takes for a request, and the model surely does not, is asked back.
        """
        if match.best is None or match.kind is not MatchKind.ACCEPT:
            return match
        said = whole.without_courtesy().words
        named = mentions(said, lexicons, LEAST_NAME)
        best = self._filler.completed(match.best, whole, named, lexicons["task"])
        if best is not None and not self._denies(match.best, said, named):
            return match.model_copy(update={"best": best})
        return doubted(match)

    def _denies(self, best: Reading, said: Sequence[str], named: Sequence[Mention]) -> bool:
        """Whether what a form took for a request is none to the model; of short ones it knows little."""
        names = self._filler.names(best)
        if best.intent in CONTROLS & self._known:
            is_word_for_word = best.is_literal and best.score >= _WORD_FOR_WORD
            return not is_word_for_word and len(said) >= LEAST_WORDS and self._is_nothing(said, named, DENY_CONTROL)
        if names is None:
            return False
        if is_compared(said, named):
            return True
        if _count(said, named) < LEAST_DENIED or not names <= {one.found.value for one in named}:
            return False
        return self._is_nothing(said, named, DENY)

    def _is_nothing(self, said: Sequence[str], named: Sequence[Mention], least: float) -> bool:
        label, probability, _ = self._model.predict(said, named)
        return label == NOTHING and probability >= least


def guessed(match: Match, found: tuple[Reading, float] | None, *, is_typed: bool) -> Match:
    """The verdict of rules and model: the model speaks where the rules do not act."""
    if match.kind is MatchKind.ACCEPT or found is None:
        return match
    reading, probability = found
    is_control = reading.intent in CONTROLS
    least = _least(reading)
    is_sure = probability >= least and (not is_typed or reading.is_literal)
    others = tuple(other for other in (match.best, *match.others) if other and other.meaning != reading.meaning)
    if is_sure:
        return Match(kind=MatchKind.ACCEPT, reason=Reason.CLEAR, best=reading, others=others, text=match.text)
    if match.kind is MatchKind.UNKNOWN and not is_control:
        return Match(kind=MatchKind.DOUBTFUL, reason=Reason.UNSURE, best=reading, others=others, text=match.text)
    return match


def _least(reading: Reading) -> float:
    """The probability from which what was guessed is done."""
    if reading.intent not in CONTROLS:
        return ACT
    if reading.slots:
        return ACT_CONTROL_OF
    if reading.intent == ControlIntent.CANCEL:
        return ACT_CANCEL
    return ACT_CONTROL if reading.intent == ControlIntent.STATUS else ACT_TELLING


def _count(said: Sequence[str], named: Sequence[Mention]) -> int:
    """How many words were said, a name being one."""
    return len(said) - sum(one.end - one.start - 1 for one in named)


def _name(said: Sequence[str], one: Mention) -> str:
    words = said[one.start : one.end]
    return bare(" ".join(word for word in words if one.kind != "folder" or word not in FOLDER))
