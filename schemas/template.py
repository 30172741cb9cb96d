"""A template: something that can be asked for, in words, by name on the command line, or by a program.

Owns the form of ``templates/*.yaml`` and how values become a task document. The invariant: a value is data. It replaces
placeholders inside strings that are already parsed, once, and never reaches the text of a shell script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self, cast

from pydantic import Field, JsonValue, model_validator

from schemas.document import Document
from schemas.failure import DocumentError, Problem, RefusalError
from schemas.keyword_notation import check_notation
from schemas.paths import Remote

#: Placeholders that the cluster fills in itself, in the task document and in spoken sentences.
TASK_ID, RESULT, REASON = "task_id", "result", "reason"
#: Longest text value in characters: a spoken phrase is far below, and it must fit a label and a log line.
MAX_TEXT_CHARS = 1000

_PLACEHOLDER = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
_LOOKS_LIKE_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
#: Programs whose argument behind ``-c`` or ``-e`` is code.
_INTERPRETER = re.compile(r"(ba|da|a|z|k)?sh|busybox|env|python[0-9.]*|perl|ruby|node")
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})

Scalar = str | int | float | bool
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class ParameterType(StrEnum):
    """What a parameter's value is."""

    OBJECT = "object"  # one object in a store, e.g. sisyphus:reports/annual-report.txt
    FOLDER = "folder"  # everything below a prefix, e.g. sisyphus:reports/
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"
    BOOLEAN = "boolean"


class Parameter(Document):
    """One value that a template needs.

    Attributes:
        required: whether somebody must give it; a parameter with a default never needs to be given.
        minimum: smallest allowed value of an integer or number; likewise `maximum`.
    """

    type: ParameterType
    description: Sentence
    choices: tuple[str, ...] = ()
    default: Scalar | None = None
    required: bool = True
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.type is ParameterType.CHOICE) != bool(self.choices):
            raise RefusalError("parameter_choices", "choices are given for a choice, and only for a choice")
        if self.default is not None:
            self.read(self.default)
        elif not self.required and self.type is not ParameterType.TEXT:
            raise RefusalError("parameter_default", f"an optional {self.type.value} needs a default", "default")
        return self

    @property
    def is_required(self) -> bool:
        """Whether a request without it is incomplete."""
        return self.required and self.default is None

    def read(self, value: object) -> str:
        """The value as it stands in a task document.

        Raises:
            RefusalError: it is not of this type, not a choice, or out of range.
        """
        text = str(value).lower() if isinstance(value, bool) else str(value)
        match self.type:
            case ParameterType.OBJECT | ParameterType.FOLDER:
                return self._read_remote(text)
            case ParameterType.TEXT:
                return _read_text(text)
            case ParameterType.CHOICE:
                if text not in self.choices:
                    raise RefusalError("parameter_choice", f"{text!r} is not one of {', '.join(self.choices)}")
                return text
            case ParameterType.BOOLEAN:
                if text.lower() not in _TRUE | _FALSE:
                    raise RefusalError("parameter_type", f"{text!r} is neither true nor false")
                return "true" if text.lower() in _TRUE else "false"
            case ParameterType.INTEGER | ParameterType.NUMBER:
                return self._read_number(text)

    def _read_remote(self, text: str) -> str:
        remote = Remote.parse(text)
        if remote.is_directory != (self.type is ParameterType.FOLDER):
            rule = "end in '/'" if self.type is ParameterType.FOLDER else "not end in '/'"
            raise RefusalError("parameter_type", f"{text!r}: {_article(self.type.value)} must {rule}")
        return str(remote)

    def _read_number(self, text: str) -> str:
        kind = int if self.type is ParameterType.INTEGER else float
        try:
            number = kind(text)
        except ValueError:
            raise RefusalError("parameter_type", f"{text[:80]!r} is not {_article(self.type.value)}") from None
        low = self.minimum if self.minimum is not None else float("-inf")
        high = self.maximum if self.maximum is not None else float("inf")
        if not low <= number <= high or number in {float("inf"), float("-inf")}:
            raise RefusalError("parameter_range", f"{number} is not between {low:g} and {high:g}")
        return str(number)


class Speech(Document):
    """What is said of a task. ``{parameter}`` is the spoken form of a value.

    Attributes:
        complete: said at the end when a one-line result is known, as ``{result}``.
        complete_plain: said at the end when none is known.
        failed: may hold ``{reason}``.
    """

    started: Sentence
    complete: Sentence
    complete_plain: Sentence
    failed: Sentence


class Template(Document):
    """One entry of the catalogue.

    Attributes:
        title: what people call it, in two or three words, e.g. "count words".
        nouns: what they call a running one, e.g. "word count", so that "cancel the word count" is understood.
        listen_for: its shortest words, e.g. "zip it", for which a recogniser listens where it did not understand
            at first; the nouns where there are none.
        patterns: forms in which it is asked for; ``{parameter}`` stands for a value.
        keywords: the same by key words alone, for free wordings, in the notation of `schemas.keyword_notation`.
        unfinished: forms that are only the beginning of a request and must never become another one.
        destructive: read back and confirmed before it starts.
        task: the task document with ``{{parameter}}`` or ``{{task_id}}`` inside strings.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)]
    title: Annotated[str, Field(min_length=1, max_length=64)]
    sentence: Sentence
    example: Sentence
    nouns: tuple[str, ...] = ()
    listen_for: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], Field(max_length=8)] = ()
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    patterns: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=64)]
    keywords: Annotated[tuple[Sentence, ...], Field(max_length=64)] = ()
    unfinished: Annotated[tuple[Sentence, ...], Field(max_length=64)] = ()
    destructive: bool = False
    task: dict[str, JsonValue]
    speech: Speech

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for name in self.parameters:
            if name in {TASK_ID, RESULT, REASON}:
                raise RefusalError("parameter_name", f"{name} is filled in by the cluster", f"parameters.{name}")
        for number, pattern in enumerate(self.patterns):
            self._check_pattern(pattern, f"patterns[{number}]", is_whole=True)
        for number, pattern in enumerate(self.keywords):
            self._check_pattern(pattern, f"keywords[{number}]", is_whole=True)
            check_notation(pattern, f"keywords[{number}]")
        for number, pattern in enumerate(self.unfinished):
            self._check_pattern(pattern, f"unfinished[{number}]", is_whole=False)
        self._check_speech()
        known = {*self.parameters, TASK_ID}
        for field, text in _strings(self.task, "task"):
            _refuse_unknown(_LOOKS_LIKE_PLACEHOLDER.findall(text), known, field)
        _check_scripts(self.task)
        return self

    def _check_pattern(self, pattern: str, field: str, *, is_whole: bool) -> None:
        slots = _SLOT.findall(pattern)
        _refuse_unknown(slots, set(self.parameters), field)
        if len(set(slots)) != len(slots):
            raise RefusalError("pattern_repeats", f"{pattern!r} holds one parameter twice", field)
        if re.search(r"\}(\s|\[[^]]*\])*\{", pattern):
            raise RefusalError("pattern_adjacent", f"{pattern!r}: two values need words between them", field)
        if not re.search(r"[A-Za-z]{2}", _SLOT.sub(" ", pattern)) or re.search(r"[{}]", _SLOT.sub(" ", pattern)):
            raise RefusalError("pattern_words", f"{pattern!r} needs words of its own, and braces in pairs", field)
        missing = [n for n, p in self.parameters.items() if p.is_required and n not in slots]
        if is_whole and missing:
            message = f"{pattern!r} does not say {', '.join(missing)}, which has no default"
            raise RefusalError("pattern_incomplete", message, field)

    def _check_speech(self) -> None:
        known = set(self.parameters)
        allowed = {
            "started": known,
            "complete": {*known, RESULT},
            "complete_plain": known,
            "failed": {*known, REASON},
        }
        for moment, names in allowed.items():
            _refuse_unknown(_SLOT.findall(getattr(self.speech, moment)), names, f"speech.{moment}")

    def read_values(self, values: Mapping[str, object]) -> dict[str, str]:
        """Check `values` and fill in defaults; every value as it stands in a task document.

        Raises:
            DocumentError: every unknown, missing or wrong value, by name and rule.
        """
        problems = [
            Problem(
                code="parameter_unknown",
                field=f"parameters.{name}",
                message=f"{self.name} has no parameter {name!r}; it has {', '.join(self.parameters) or 'none'}",
            )
            for name in values
            if name not in self.parameters
        ]
        result: dict[str, str] = {}
        for name, parameter in self.parameters.items():
            given = values.get(name)
            if given is None and parameter.is_required:
                message = f"{self.name} needs {name}: {parameter.description}"
                problems.append(Problem(code="parameter_missing", field=f"parameters.{name}", message=message))
                continue
            value = parameter.default if given is None else given
            try:
                result[name] = "" if value is None else parameter.read(value)
            except RefusalError as error:
                problems.append(Problem(code=error.code, field=f"parameters.{name}", message=str(error)))
        if problems:
            raise DocumentError(problems)
        return result

    def render(self, values: Mapping[str, object], task_id: str) -> dict[str, Any]:
        """The raw task document for `values`; parse it with `schemas.legacy.parse_task`.

        Raises:
            DocumentError: a value is unknown, missing or wrong, or two values name the same object.
        """
        known = {**self.read_values(values), TASK_ID: task_id}
        document = cast("dict[str, Any]", _filled(self.task, known, "task"))
        document["id"] = task_id
        document.setdefault("name", self.title)
        document["tags"] = {**document.get("tags", {}), "template": self.name}
        return document

    def say(self, moment: str, spoken: Mapping[str, str], *, result: str = "", reason: str = "") -> str:
        """The sentence for `moment`, one of ``started``, ``complete`` and ``failed``.

        `spoken` maps parameters to their spoken forms; one that is missing is left out of the sentence.
        """
        key = "complete_plain" if moment == "complete" and not result else moment
        words = {**spoken, RESULT: result, REASON: reason}
        text = _SLOT.sub(lambda m: words.get(m[1], ""), cast("str", getattr(self.speech, key)))
        return " ".join(text.split())


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _read_text(text: str) -> str:
    if not text.strip():
        raise RefusalError("parameter_type", "a text must not be empty")
    if len(text) > MAX_TEXT_CHARS:
        raise RefusalError("parameter_range", f"a text has at most {MAX_TEXT_CHARS} characters, not {len(text)}")
    if "\0" in text:
        raise RefusalError("nul", "NUL bytes cannot be passed to a program")
    return text


def _refuse_unknown(found: Iterable[str], known: set[str], field: str) -> None:
    for name in found:
        if name not in known:
            message = f"{{{name}}} is not known here; known are {', '.join(sorted(known)) or 'none'}"
            raise RefusalError("placeholder_unknown", message, field)


def _strings(value: JsonValue, field: str) -> Iterator[tuple[str, str]]:
    """Every string in `value`, keys included, with its path."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{field}.{key}", key
            yield from _strings(item, f"{field}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, f"{field}[{number}]")


def _check_scripts(task: dict[str, JsonValue]) -> None:
    """Refuse a placeholder in the text of a script: a value with a quote in it would become code."""
    commands = task.get("commands")
    for number, entry in enumerate(commands if isinstance(commands, list) else []):
        argv = entry.get("command") if isinstance(entry, dict) else None
        if not isinstance(argv, list):
            continue
        words = [word if isinstance(word, str) else "" for word in argv]
        if not words or not _INTERPRETER.fullmatch(words[0].rpartition("/")[2]):
            continue
        for place, (flag, text) in enumerate(pairwise(words), start=1):
            if re.fullmatch(r"-[a-z]*[ce]", flag) and _PLACEHOLDER.search(text):
                message = 'a placeholder inside a script would become code; pass it behind the script, as "$1"'
                raise RefusalError("placeholder_in_script", message, f"task.commands[{number}].command[{place}]")


def _filled(value: JsonValue, known: Mapping[str, str], field: str) -> JsonValue:
    """`value` with placeholders replaced in one pass, so that a value that looks like one stays as it is."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda m: known[m[1]], value)
    if isinstance(value, list):
        return [_filled(item, known, f"{field}[{number}]") for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result: dict[str, JsonValue] = {}
    for key, item in value.items():
        name = _PLACEHOLDER.sub(lambda m: known[m[1]], key)
        if name in result:
            message = f"{name!r} is named twice; the values must differ"
            raise DocumentError([Problem(code="parameter_same", field=field, message=message)])
        result[name] = _filled(item, known, f"{field}.{key}")
    return result
