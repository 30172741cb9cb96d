"""Templates: which ones are refused, and how values become a task document."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.failure import DocumentError, RefusalError
from schemas.legacy import parse_task
from schemas.template import Template

GOOD: dict[str, Any] = {
    "name": "shout",
    "title": "shout",
    "sentence": "Write a phrase in capitals.",
    "example": "shout hello at the annual report",
    "nouns": ["shouting"],
    "parameters": {
        "source": {"type": "object", "description": "the text"},
        "phrase": {"type": "text", "description": "the words"},
        "times": {"type": "integer", "description": "how often", "default": 2, "minimum": 1, "maximum": 9},
        "scale": {"type": "number", "description": "how much", "default": 1.5},
        "tone": {"type": "choice", "description": "how", "choices": ["loud", "soft"], "default": "loud"},
        "echo": {"type": "boolean", "description": "again", "default": False},
    },
    "patterns": ["shout {phrase} at {source}"],
    "task": {
        "image": "alpine:3",
        "inputs": {"{{source}}": "/in/source"},
        "outputs": {"sisyphus:results/{{task_id}}/out.txt": "/out/out.txt"},
        "commands": [
            {"command": ["sh", "-c", 'echo "$1" > /out/out.txt', "shout", "{{phrase}}", "{{ times }}", "{{tone}}"]},
            {"command": ["echo", "{{scale}}", "{{echo}}"]},
        ],
    },
    "speech": {
        "started": "Shouting {phrase}.",
        "complete": "The {source} says {result}.",
        "complete_plain": "Shouted.",
        "failed": "Failed. {reason}",
    },
}
VALUES = {"source": "sisyphus:reports/annual-report.txt", "phrase": "hello"}


def changed(**changes: object) -> dict[str, Any]:
    """The good template with values replaced; a double underscore goes one level down."""
    raw = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *folders, last = path.split("__")
        inner = raw
        for folder in folders:
            inner = inner[folder]
        inner[last] = value
    return raw


def template(**changes: object) -> Template:
    return Template.model_validate(changed(**changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "Shout Loud"}, "string_pattern_mismatch"),
        ({"patterns": []}, "too_short"),
        ({"patterns": ["shout {phrase}"]}, "pattern_incomplete"),
        ({"patterns": ["shout {phrase} {source}"]}, "pattern_adjacent"),
        ({"patterns": ["shout {phrase} at {source} and {source}"]}, "pattern_repeats"),
        ({"patterns": ["shout {phrase} at {where}"]}, "placeholder_unknown"),
        ({"patterns": ["{phrase} - {source}"]}, "pattern_words"),
        ({"patterns": ["shout {phrase} at {source} }"]}, "pattern_words"),
        ({"unfinished": ["shout {who}"]}, "placeholder_unknown"),
        ({"speech__started": "Shouting {result}."}, "placeholder_unknown"),
        ({"speech__failed": "Failed: {result}."}, "placeholder_unknown"),
        ({"speech__complete": ""}, "string_too_short"),
        ({"parameters__tone__choices": []}, "parameter_choices"),
        ({"parameters__phrase__choices": ["a"]}, "parameter_choices"),
        ({"parameters__tone__default": "shrill"}, "parameter_choice"),
        ({"parameters__times__default": 10}, "parameter_range"),
        ({"parameters__times__default": "two"}, "parameter_type"),
        ({"parameters__source__required": False}, "parameter_default"),
        ({"parameters__result": {"type": "text", "description": "x", "required": False}}, "parameter_name"),
        ({"parameters__Bad": {"type": "text", "description": "x", "required": False}}, "string_pattern_mismatch"),
        ({"parameters__source__type": "file"}, "enum"),
        ({"task__image": "{{image}}"}, "placeholder_unknown"),
        ({"task__name": "{{ Phrase }}"}, "placeholder_unknown"),
        ({"task__commands": [{"command": ["sh", "-c", "echo {{phrase}}"]}]}, "placeholder_in_script"),
        ({"task__commands": [{"command": ["/bin/bash", "-ec", "echo '{{phrase}}'"]}]}, "placeholder_in_script"),
        ({"task__commands": [{"command": ["python3", "-c", "print('{{phrase}}')"]}]}, "placeholder_in_script"),
        ({"surprise": 1}, "extra_forbidden"),
    ],
)
def test_unsound_template_is_refused_with_a_code(changes: dict[str, object], code: str) -> None:
    """Each rule of a template has a code of its own."""
    with pytest.raises(ValidationError) as caught:
        template(**changes)
    codes = {
        cause.code if isinstance(cause := error.get("ctx", {}).get("error"), RefusalError) else error["type"]
        for error in caught.value.errors()
    }
    assert code in codes


def test_option_of_another_program_may_be_a_value() -> None:
    """``grep -e`` takes a pattern, not a script, so a placeholder may stand behind it."""
    template(task__commands=[{"command": ["grep", "-F", "-e", "{{phrase}}", "/in/source"]}])


def test_rendered_task_is_a_valid_document() -> None:
    """Defaults are filled in, the id and the template's name are set, and the document parses."""
    task = parse_task(template().render(VALUES, "task-1"))
    assert task.id == "task-1"
    assert task.tags["template"] == "shout"
    assert task.name == "shout"
    assert str(task.outputs[0].remote) == "sisyphus:results/task-1/out.txt"
    assert task.commands[0].command[-3:] == ("hello", "2", "loud")
    assert task.commands[1].command == ("echo", "1.5", "false")


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"phrase": "x"}, "parameter_missing", "source"),
        ({**VALUES, "volume": "9"}, "parameter_unknown", "volume"),
        ({**VALUES, "times": "many"}, "parameter_type", "times"),
        ({**VALUES, "times": 10}, "parameter_range", "times"),
        ({**VALUES, "times": "1e3"}, "parameter_type", "times"),
        ({**VALUES, "scale": "nan"}, "parameter_range", "scale"),
        ({**VALUES, "scale": "inf"}, "parameter_range", "scale"),
        ({**VALUES, "tone": "LOUD"}, "parameter_choice", "tone"),
        ({**VALUES, "echo": "perhaps"}, "parameter_type", "echo"),
        ({**VALUES, "phrase": "  "}, "parameter_type", "phrase"),
        ({**VALUES, "phrase": "x" * 1001}, "parameter_range", "phrase"),
        ({**VALUES, "phrase": "a\0b"}, "nul", "phrase"),
        ({**VALUES, "source": "reports/annual-report.txt"}, "remote_form", "source"),
        ({**VALUES, "source": "sisyphus:reports/"}, "parameter_type", "source"),
        ({**VALUES, "source": "sisyphus:../etc/passwd"}, "path_traversal", "source"),
    ],
)
def test_wrong_value_is_named_with_its_rule(values: dict[str, object], code: str, field: str) -> None:
    """A wrong value is refused by parameter, code and sentence, before there is a task."""
    with pytest.raises(DocumentError) as caught:
        template().render(values, "task-1")
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (code, f"parameters.{field}")
    assert problem.message


def test_all_wrong_values_are_reported_at_once() -> None:
    """Nobody has to repair a request one value at a time."""
    with pytest.raises(DocumentError) as caught:
        template().render({"times": "x", "tone": "y", "zeal": 1}, "task-1")
    assert {p.field for p in caught.value.problems} == {
        f"parameters.{n}" for n in ("source", "phrase", "times", "tone", "zeal")
    }


def test_same_object_twice_is_an_error_not_a_lost_input() -> None:
    """Two values that would fall on one key of a map are refused."""
    raw = changed(task__inputs={"{{source}}": "/in/a", "{{other}}": "/in/b"})
    raw["parameters"]["other"] = {"type": "object", "description": "another"}
    raw["patterns"] = ["shout {phrase} at {source} and {other}"]
    same = {**VALUES, "other": VALUES["source"]}
    with pytest.raises(DocumentError) as caught:
        Template.model_validate(raw).render(same, "task-1")
    assert caught.value.problems[0].code == "parameter_same"


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.strip() and "\0" not in text))
def test_text_value_stays_data(phrase: str) -> None:
    """Quotes, braces, newlines, dollar signs, even placeholders arrive as one argument, unchanged."""
    document = template().render({**VALUES, "phrase": phrase}, "task-1")
    assert document["commands"][0]["command"] == ["sh", "-c", 'echo "$1" > /out/out.txt', "shout", phrase, "2", "loud"]
    assert document["inputs"] == {"sisyphus:reports/annual-report.txt": "/in/source"}


@pytest.mark.parametrize("phrase", ["{{task_id}}", "{{source}}", 'it\'s "$(reboot)"; `x`', "a: [1]\n- b", "{phrase}"])
def test_value_that_looks_like_a_placeholder_is_not_filled_in(phrase: str) -> None:
    """Replacement happens once: a value is never read again."""
    document = template().render({**VALUES, "phrase": phrase}, "task-1")
    assert document["commands"][0]["command"][4] == phrase


def test_sentences_use_spoken_forms_and_fall_back_without_a_result() -> None:
    """The end is told with the one-line result where there is one, and without it otherwise."""
    speaking = template()
    spoken = {"source": "annual report", "phrase": "{result}"}
    assert speaking.say("started", spoken) == "Shouting {result}."
    assert speaking.say("complete", spoken, result="hello") == "The annual report says hello."
    assert speaking.say("complete", spoken) == "Shouted."
    assert speaking.say("failed", spoken, reason="The disk is full.") == "Failed. The disk is full."


def test_templates_load_without_the_matcher() -> None:
    """The command line reads templates on every start, so nothing that only speech needs comes with them."""
    code = "import sys, infra.template_catalog; print([m for m in ('numpy', 'rapidfuzz', 'metaphone') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "broken",
    [
        "(shout|cry {phrase} at {source}",
        "shout ) {phrase} at {source}",
        "shout [] {phrase} at {source}",
        "{nobody}",
        "[at] {source} [it] {phrase}",
    ],
)
def test_keywords_are_checked_like_patterns(broken: str) -> None:
    """Brackets that do not close and slots that nobody knows are refused, with the field."""
    assert Template.model_validate({**GOOD, "keywords": ["(shout|cry) [it] {phrase} at {source}"]}).keywords
    with pytest.raises(ValidationError) as caught:
        Template.model_validate({**GOOD, "keywords": [broken]})
    cause = caught.value.errors()[0].get("ctx", {})["error"]
    assert isinstance(cause, RefusalError)
    assert cause.field == "keywords[0]"
