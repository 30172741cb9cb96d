"""Patterns compiled into frames: words that are fixed, with slots between them.

Owns the set of fixed parts that every utterance is held against, and the unfinished forms. A request that was cut off
in the middle often equals the whole of another one ("compress the annual report" is close to "compare the annual
report"); so every beginning and ending of a pattern that is not a request by itself is a frame too, with the intent
`UNFINISHED`, and wins over the wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from schemas.control import CONTROL_PATTERNS, ControlIntent
from schemas.control_keywords import CONTROL_KEYWORDS
from schemas.keyword_form import KeywordForm, Slot
from schemas.likeness import Phrases
from schemas.template import Parameter, ParameterType, Template
from schemas.wording import plain

#: The intent of a form that is only a part of a request.
UNFINISHED = "?"
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
#: Letters below which the end of a pattern is too little to be taken for an unfinished request.
_FRAGMENT_LETTERS = 2


@dataclass(frozen=True)
class Frame:
    """One pattern: ``fixed[0] slot[0] fixed[1] slot[1] …``; the first and the last fixed part may be empty.

    `is_ending` marks the end of a request whose beginning is missing: nothing can lead into it.
    """

    intent: str
    fixed: tuple[str, ...]
    slots: tuple[Slot, ...]
    is_ending: bool = False

    @cached_property
    def letters(self) -> int:
        """Letters and spaces of the fixed parts: their weight in the score."""
        return sum(len(part) for part in self.fixed)

    @cached_property
    def has_text(self) -> bool:
        """Whether it has a slot that takes any words."""
        return any(slot.kind == ParameterType.TEXT for slot in self.slots)


class Grammar:
    """All frames of a catalogue and of the controls."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self.templates = tuple(templates)
        whole = dict.fromkeys([*_template_frames(self.templates), *_control_frames()])
        shapes = {_shape(frame) for frame in whole}
        parts: dict[_Shape, Frame] = {}
        for frame in _unfinished_frames(self.templates, whole):
            if _shape(frame) not in shapes:
                parts.setdefault(_shape(frame), frame)
        self.frames = (*whole, *parts.values())
        self.keyword_forms = tuple(dict.fromkeys(_keyword_forms(self.templates)))

    @cached_property
    def fixed(self) -> Phrases:
        """Every fixed part once."""
        return Phrases.of(list(dict.fromkeys(part for frame in self.frames for part in frame.fixed if part)))

    @cached_property
    def verbs(self) -> frozenset[str]:
        """The words that are all that a request has before its first name: "zip", "compare"."""
        names = {template.name for template in self.templates}
        first = [frame.fixed[0] for frame in self.frames if frame.slots and frame.intent in names]
        for form in self.keyword_forms:
            if form.intent in names:
                first += form.verbs
        return frozenset(verb for verb in first if verb and " " not in verb)

    def task_names(self) -> Iterator[tuple[str, str]]:
        """What people call a kind of task, with the template's name."""
        for template in self.templates:
            for noun in (template.title, *template.nouns):
                yield plain(noun), template.name

    def choices(self) -> Iterator[tuple[str, str, str]]:
        """The kind of slot, the words and the value of every choice of every parameter."""
        for template in self.templates:
            for name, parameter in template.parameters.items():
                for value in _values(parameter):
                    yield f"choice:{template.name}.{name}", plain(value), value


def _values(parameter: Parameter) -> tuple[str, ...]:
    return ("yes", "no") if parameter.type is ParameterType.BOOLEAN else parameter.choices


_Shape = tuple[tuple[str, ...], tuple[str, ...]]


def _shape(frame: Frame) -> _Shape:
    return frame.fixed, tuple(slot.kind for slot in frame.slots)


def _frame(intent: str, pattern: str, kinds: dict[str, str]) -> Frame:
    pieces = _SLOT.split(pattern)
    slots = tuple(Slot(name, kinds[name]) for name in pieces[1::2])
    return Frame(intent, tuple(plain(part) for part in pieces[::2]), slots)


def _kinds(template: Template) -> dict[str, str]:
    return {
        name: f"choice:{template.name}.{name}"
        if parameter.type in {ParameterType.CHOICE, ParameterType.BOOLEAN}
        else parameter.type.value
        for name, parameter in template.parameters.items()
    }


def _template_frames(templates: Iterable[Template]) -> Iterator[Frame]:
    for template in templates:
        kinds = _kinds(template)
        for pattern in template.patterns:
            yield _frame(template.name, pattern, kinds)


def _keyword_forms(templates: Iterable[Template]) -> Iterator[KeywordForm]:
    for template in templates:
        for keywords in template.keywords:
            yield KeywordForm.parse(template.name, keywords, _kinds(template))
    for intent, forms in CONTROL_KEYWORDS.items():
        for keywords in forms:
            yield KeywordForm.parse(intent.value, keywords, {"task": "task"})


def _control_frames() -> Iterator[Frame]:
    kinds = {"task": "task", "object": ParameterType.OBJECT.value}
    for intent, patterns in CONTROL_PATTERNS.items():
        for pattern in patterns:
            yield _frame(ControlIntent(intent).value, pattern, kinds)


def _unfinished_frames(templates: Iterable[Template], whole: Iterable[Frame]) -> Iterator[Frame]:
    for template in templates:
        for pattern in template.unfinished:
            yield _frame(UNFINISHED, pattern, _kinds(template))
    names = {template.name for template in templates}
    for frame in whole:
        if frame.intent in names:
            yield from _fragments(frame)


def _fragments(frame: Frame) -> Iterator[Frame]:
    """Beginnings and endings of a frame at its slots; free text is left out, since it would fit anything."""
    last = len(frame.slots)
    for cut in range(last + 1):
        head, tail = frame.slots[:cut], frame.slots[cut:]
        parts = [
            Frame(UNFINISHED, frame.fixed[: cut + 1], head),  # up to the words before a slot
            Frame(UNFINISHED, (*frame.fixed[:cut], ""), head),  # up to a slot, without the words behind it
            Frame(UNFINISHED, frame.fixed[cut:], tail, is_ending=True),
            Frame(UNFINISHED, ("", *frame.fixed[cut + 1 :]), tail, is_ending=True),
        ]
        for part in parts:
            is_part = len(part.fixed) == len(part.slots) + 1 and _shape(part) != _shape(frame)
            if is_part and part.letters >= _FRAGMENT_LETTERS and not part.has_text:
                yield part
