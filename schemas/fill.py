"""What the parameters of a guessed request hold: the names, the number and the free words that were said.

Owns that a guess leaves nothing out: all names that were said are used, a number that may be meant is taken, and free
words only where it is clear which they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.control import CONTROLS, ControlIntent
from schemas.free_text import text_span
from schemas.keyword_form import KeywordForm, Slot
from schemas.lexicon import Found, Lexicon
from schemas.match import Reading
from schemas.mentions import FOLDER, Mention, bare_folders
from schemas.number_words import is_number_word, read_number
from schemas.phrase_model import PhraseModel
from schemas.small_words import ANEW, ARTICLES, GLUE, words
from schemas.template import Parameter, ParameterType, Template
from schemas.wording import Words

#: The least score of the name of a kind of task, and of a folder that is not called one; below, it may be another one.
LEAST_TASK_NAME, LEAST_FOLDER = 95.0, 95.0
#: The least probability of free words, and of other ones than a form took.
LEAST_PHRASE, SURE_PHRASE = 0.5, 0.98
#: What is said of tasks of a kind.
_OF_TASKS, _VAGUE = {ControlIntent.STATUS, ControlIntent.CANCEL}, words("something anything everything nothing")
#: Words of requests that are said of anything else as often: "the big one" is no word count.
_PLAIN = words(
    """
    add anywhere apart back big bit bottom break bring brings care check checked checking code comes complete contain
    contains copy create depth detail different form found grab holds if include includes lay line lines listed look
    looking looks many next often open part parts per place places point points process progress properly report runs
    same says set sets shows side sign somewhere start stick taking they times top total track turn turned turns uses
    bits crop crops entries entry pack rank row rows rundown stand stands value version walk whether
    """
)
#: Before what something is looked for in.
_INSIDE = words("in inside within")
#: Behind them begins what a text holds.
_HOLDING = words("has have says say mentions mention contains contain")
#: Words that the name of a kind of task has at most.
_TASK_WORDS = 4


@dataclass(frozen=True, slots=True)
class Filled:
    """What the slots hold, the words of it that are no names, and the slot of the free ones."""

    slots: dict[str, Found]
    words: frozenset[str] = frozenset()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class _Slots:
    """The parameters of a template that can be filled."""

    names: tuple[tuple[str, str], ...]
    number: tuple[str, Parameter] | None
    text: str | None


class Filler:
    """Fills the parameters of templates. One with others that must be given is never guessed.

    Args:
        templates: what is filled.
        forms: the key words of all of them.
        phrases: tells the free words; without it nothing that takes some is filled.
    """

    def __init__(
        self, templates: Iterable[Template], forms: Iterable[KeywordForm], phrases: PhraseModel | None
    ) -> None:
        self._slots = {template.name: slots for template in templates if (slots := _slots(template))}
        self._phrases = phrases
        self._known: dict[str, frozenset[str]] = {}
        acts: dict[str, set[str]] = {}
        for form in forms:
            groups = [element for element in form.elements if not isinstance(element, Slot)]
            said = {word for group in groups for some in group for word in some}
            acts.setdefault(form.intent, set()).update(said)
            self._known[form.intent] = self._known.get(form.intent, frozenset()) | said | form.extras
        of_controls = _VAGUE | {word for name in CONTROLS for word in acts.get(name, ())}
        #: Words that tell kinds of tasks apart.
        self._acts = {name: acts.get(name, set()) - of_controls - _PLAIN - GLUE for name in self._slots}

    def names(self, best: Reading) -> set[str] | None:
        """The objects and folders that it speaks of; None where its parameters cannot be filled."""
        slots = self._slots.get(best.intent)
        return None if slots is None else {best.slots[name] for name, _ in slots.names if name in best.slots}

    def known(self, intent: str) -> frozenset[str]:
        """The words that stand in its forms."""
        return self._known.get(intent, frozenset())

    def folders(self, intent: str, said: Sequence[str], lexicons: Mapping[str, Lexicon]) -> Sequence[Mention]:
        """Folders that are not called one, where a folder is all that it takes: "zip everything in accounts"."""
        slots = self._slots.get(intent)
        takes_one = slots is not None and [kind for _, kind in slots.names] == [ParameterType.FOLDER.value]
        return bare_folders(said, lexicons, LEAST_FOLDER) if takes_one else ()

    def filled(
        self, intent: str, whole: Words, named: Sequence[Mention], lexicons: Mapping[str, Lexicon]
    ) -> Filled | None:
        """What the parameters of `intent` hold; None where that is not clear or something is missing."""
        said = whole.without_courtesy().words
        if intent in CONTROLS:
            task = None if named else self._task(said, lexicons["task"]) if intent in _OF_TASKS else {}
            return None if task is None else Filled(task)
        slots = self._slots.get(intent)
        if slots is None:
            return None
        kinds = [kind for _, kind in slots.names]
        once = list({one.found.value: one for one in named}.values())
        if kinds != [one.kind for one in once]:
            return None
        found = {name: one.found for (name, _), one in zip(slots.names, once, strict=True)}
        if slots.number is None and _touching(said, named):
            # Another number than the name's: "the price list 2024" is not that of 2023.
            return None
        if slots.text is not None:
            return self._with_text(intent, whole, named, found, slots.text)
        if slots.number is None:
            return Filled(found)
        name, parameter = slots.number
        number = _number(said, named, parameter)
        if number:
            found[name] = _free(number)
        numbers = frozenset(word for run in _runs(said, named) for word in run)
        return None if number is None else Filled(found, numbers)

    def completed(self, best: Reading, whole: Words, named: Sequence[Mention], tasks: Lexicon) -> Reading | None:
        """The same with what was said and no form took: "the checksum is not needed any more so cancel it".

        Likewise the number in "show me the fifteen words used most"; and the free words alone, where a form took more:
        "look for lost keys in it because anna asked". None where the number is unclear.
        """
        if best.intent in _OF_TASKS:
            said = whole.without_courtesy().words
            if "task" in best.slots:
                return _with(best, "task", _narrower(best.slots["task"], said, tasks))
            task = self._task(said, tasks)
            return _with(best, "task", task["task"].value) if task else best
        slots = self._slots.get(best.intent)
        # A number, too, may belong to a name that was misheard.
        if slots is None or len({one.found.value for one in named}) != len(slots.names):
            return best
        said = whole.without_courtesy().words
        if slots.number is not None and slots.number[0] not in best.slots:
            name, parameter = slots.number
            number = _number(said, named, parameter)
            return None if number is None else _with(best, name, number) if number else best
        if slots.text is not None and self._phrases is not None:
            phrase = self._phrases.find(said, named)
            if phrase is not None and phrase.probability >= SURE_PHRASE:
                text = whole.original(phrase.start, phrase.end)
                taken = best.slots[slots.text]
                return _with(best, slots.text, text) if text in taken or taken in text else best
        return best

    def _with_text(
        self, intent: str, whole: Words, named: Sequence[Mention], found: dict[str, Found], name: str
    ) -> Filled | None:
        said = whole.without_courtesy().words
        phrase = None if self._phrases is None else self._phrases.find(said, named)
        if phrase is None or phrase.probability < LEAST_PHRASE:
            return None
        start = phrase.start
        begins = self._acts[intent] | _HOLDING
        if start > 1 and said[start - 2] in begins and said[start - 1] not in self.known(intent) | GLUE:
            # "Find amazing grace" is not about "grace".
            start -= 1
        span = text_span(said, start, phrase.end)
        # Small words, and those of the request itself, are nothing to look for.
        if span is None or (GLUE | self.known(intent)).issuperset(said[slice(*span)]):
            return None
        before = [word for word in said[: span[0]] if word not in ARTICLES]
        if before and before[-1] in _INSIDE and span[0] > named[-1].end:
            # "look for the annual report in the meeting …": where it is looked for was not said to its end.
            return None
        text = whole.original(*span)
        return Filled(found | {name: _free(text)}, frozenset(said[start : phrase.end]), name)

    def _task(self, said: Sequence[str], tasks: Lexicon) -> dict[str, Found] | None:
        """The kind of task that is spoken of, if any; None where it may be one of several."""
        starts = range(len(said))
        spans = [" ".join(said[a:b]) for a in starts for b in range(a + 1, min(a + _TASK_WORDS, len(said)) + 1)]
        found = [names[0] for names in tasks.nearest(spans) if names and names[0].score >= LEAST_TASK_NAME]
        longest = [one for one in found if len(one.form) == max(len(other.form) for other in found)]
        if not longest:
            return self._by_words(frozenset(said), tasks)
        if len({one.value for one in longest}) > 1:
            return None
        value = _narrower(longest[0].value, said, tasks)
        return {"task": next(one for one in (*longest, *tasks.names) if one.value == value)}

    def _by_words(self, said: frozenset[str], tasks: Lexicon) -> dict[str, Found] | None:
        """The kind of task by the words of its requests: "are you done zipping that folder"."""
        # "How is the zip's …" is written "zips".
        said = said | {word[:-1] for word in said if word.endswith("s") and not word.endswith("ss")}
        counts = {name: len(acts & said) for name, acts in self._acts.items()}
        if not any(counts.values()):
            return {}
        likeliest = [name for name, count in counts.items() if count == max(counts.values())]
        if len(likeliest) > 1 and FOLDER.isdisjoint(said):
            # "The zip" is that of a file, where no folder is spoken of.
            likeliest = [name for name in likeliest if ("folder" not in {kind for _, kind in self._slots[name].names})]
        named = [one for one in tasks.names if [one.value] == likeliest]
        return {"task": named[0]} if named else None


def _slots(template: Template) -> _Slots | None:
    """What is needed; None where it needs more than names, a number and one text."""
    names: list[tuple[str, str]] = []
    number: tuple[str, Parameter] | None = None
    texts: list[str] = []
    for name, parameter in template.parameters.items():
        if parameter.type in {ParameterType.OBJECT, ParameterType.FOLDER}:
            names.append((name, parameter.type.value))
        elif parameter.type is ParameterType.TEXT and parameter.is_required:
            texts.append(name)
        elif parameter.is_required:
            return None
        elif parameter.type is ParameterType.INTEGER and any(f"{{{name}}}" in p for p in template.patterns):
            number = (name, parameter)
    return _Slots(tuple(names), number, texts[0] if texts else None) if names and len(texts) <= 1 else None


def _with(best: Reading, name: str, value: str) -> Reading:
    filled = {"slots": {**best.slots, name: value}, "spoken": {**best.spoken, name: value}}
    return best.model_copy(update=filled)


def _narrower(task: str, said: Sequence[str], tasks: Lexicon) -> str:
    """The kind that has the same name with a word before it that was said: "stop zipping that folder"."""
    forms = {one.form for one in tasks.names if one.value == task}
    words = {*said, *(word[:-1] for word in said if word.endswith("s"))}
    for one in tasks.names:
        head, _, tail = one.form.partition(" ")
        if one.value != task and tail in forms and head in words:
            return one.value
    return task


def _free(text: str) -> Found:
    return Found(text, text, "", 100.0)


def _number(said: Sequence[str], named: Sequence[Mention], parameter: Parameter) -> str | None:
    """The number that is said outside the names, as digits; empty where there is none, None where it is unclear."""
    runs = _runs(said, named)
    if not runs:
        return ""
    number = read_number(runs[0]) if all(run == runs[0] for run in runs) else None
    if number is None or number < (parameter.minimum or 0) or number > (parameter.maximum or number):
        return None
    return str(number)


def _touching(said: Sequence[str], named: Sequence[Mention]) -> bool:
    """Whether a number stands beside a name, of which it may be a part."""
    beside = {place for one in named for place in (one.start - 1, one.end) if 0 <= place < len(said)}
    return any(is_number_word(said[place]) and said[place] != "one" for place in beside)


def _runs(said: Sequence[str], named: Sequence[Mention]) -> list[list[str]]:
    """The numbers that are said outside the names, word by word; "one" alone is none."""
    inside = {place for one in named for place in range(one.start, one.end)}
    runs: list[list[str]] = []
    is_open = False
    for place, word in enumerate(said):
        following = said[place + 1] if place + 1 < len(said) else ""
        is_first = word in {"a", "one"} and following == "hundred"
        is_next = is_open and (word == "one" or (word == "and" and is_number_word(following)))
        is_number = place not in inside and (is_first or is_next or (is_number_word(word) and word != "one"))
        if is_number and is_open:
            runs[-1].append(word)
        elif is_number and runs and said[place - 1] in ANEW and said[place - 2] == runs[-1][-1]:
            # "Five, no, six".
            runs[-1] = [word]
        elif is_number:
            runs.append([word])
        is_open = is_number
    return runs
