"""The wording of answers: what is asked back, the status, what can be asked for, what is in the store. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from schemas.record import TaskRecord
from schemas.spoken_name import object_names
from schemas.state import TaskState
from schemas.template import ParameterType, Template
from voice.bot.narration import SPOKEN_TAG, Manner, as_sentence

NOT_UNDERSTOOD = "Sorry, I did not understand that."
ONLY_A_PART = "That was only a part of a request. Please say all of it again."
WHICH_FILE = "I did not get which file you mean. Please say it again, or ask me which files there are."
NOTHING_TO_CANCEL = "There is nothing running that could be canceled."
ASK_YES_OR_NO = "Please say yes or no."
LEFT_ALONE = "Okay. I leave it as it is."
TOO_LATE = "It has ended already."
SAY_IT_DIFFERENTLY = "Okay. Then please say it again in other words."
NOTHING_SAID = "I have not said anything yet."
GOODBYE = "This conversation goes on in another window."

#: Spoken often and always the same: their sound is made beforehand.
FIXED_SENTENCES = (
    "Okay.",
    NOT_UNDERSTOOD,
    ONLY_A_PART,
    WHICH_FILE,
    NOTHING_TO_CANCEL,
    ASK_YES_OR_NO,
    LEFT_ALONE,
    TOO_LATE,
    SAY_IT_DIFFERENTLY,
    NOTHING_SAID,
    "While you were away:",
    "Nothing is running.",
)

_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_NAMED = frozenset({ParameterType.OBJECT, ParameterType.FOLDER})
_MAX_LISTED = 5


def manner_of(record: TaskRecord, templates: Mapping[str, Template]) -> Manner:
    """How a task is spoken of, from its document alone."""
    tags = record.document.tags
    template = templates.get(tags.get("template", ""))
    spoken = {key.removeprefix(SPOKEN_TAG): value for key, value in tags.items() if key.startswith(SPOKEN_TAG)}
    if template is None or not set(template.parameters) <= set(spoken) | _silent(template):
        return Manner(f"the task {record.document.name}")
    return Manner(label(template, spoken), template, spoken)


def label(template: Template, spoken: Mapping[str, str]) -> str:
    """What people call one task: "the word count of the annual report"."""
    names = [f"the {spoken[name]}" for name, p in template.parameters.items() if p.type in _NAMED and spoken.get(name)]
    noun = template.nouns[0] if template.nouns else template.title
    return f"the {noun} of {' and '.join(names)}" if names else f"the {noun}"


def request(template: Template, spoken: Mapping[str, str]) -> str:
    """The request as people would say it: "count the words in the annual report"."""
    for pattern in template.patterns:
        names = _SLOT.findall(pattern)
        form = re.compile("(.+)".join(re.escape(part) for part in _SLOT.split(pattern)[::2]), re.IGNORECASE)
        example = form.fullmatch(template.example)
        if example and all(spoken.get(name) for name in names):
            # The example shows where an article belongs.
            the = {
                n: "the " if v.lower().startswith("the ") else "" for n, v in zip(names, example.groups(), strict=True)
            }
            return _SLOT.sub(lambda m, the=the: the[m[1]] + spoken[m[1]], pattern)
    started = template.say("started", spoken).partition(". ")[0].rstrip(".")
    return started[:1].lower() + started[1:]


def did_you_mean(requests: Sequence[str]) -> str:
    """The question for one reading, or for two between which it is a tie."""
    return f"Did you mean: {', or: '.join(requests[:2])}?"


def confirm_start(asked: str) -> str:
    """Read back a destructive request."""
    return f"You want me to {asked}. Is that right?"


def not_running(labels: Sequence[str]) -> str:
    """Said where a kind of task should be canceled of which none runs, but others do."""
    more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
    return f"There is no such task. What is running is {labels[-1]}{more}."


def confirm_cancel(labels: Sequence[str]) -> str:
    """Read back a cancel."""
    what = labels[0] if len(labels) == 1 else f"all {len(labels)} tasks"
    return f"Do you want me to cancel {what}?"


def canceling(labels: Sequence[str]) -> str:
    """Said when the cancel has been written."""
    return f"Okay. Canceling {labels[0] if len(labels) == 1 else f'{len(labels)} tasks'}."


def status(records: Sequence[tuple[TaskRecord, Manner]]) -> str:
    """How things are, from the records as the database has them, oldest first."""
    running = [(r, m) for r, m in records if not r.is_terminal]
    if running:
        many = [f"{len(running)} tasks are running."] if len(running) > 1 else []
        return " ".join([*many, *(_running(r, m) for r, m in running[-_MAX_LISTED:])])
    ended = [(r, m) for r, m in records if r.is_terminal]
    if not ended:
        return "Nothing is running. You can ask for a task."
    record, manner = max(ended, key=lambda pair: _moment(pair[0]))
    return f"Nothing is running. {manner.ended(record)}"


def what_can_be_asked(templates: Sequence[Template]) -> str:
    """A few examples, and the controls."""
    examples = [f"{template.example}" for template in templates[:_MAX_LISTED]]
    more = " And more, which the page lists." if len(templates) > _MAX_LISTED else ""
    controls = "You can also ask for the status, for the files, or cancel a task."
    return f"You can say, for example: {'; or: '.join(examples)}.{more} {controls}" if examples else controls


def what_is_stored(remotes: Sequence[str]) -> str:
    """The objects by their spoken names."""
    names = [f"the {name.spoken}" for name in object_names(remotes)]
    if not names:
        return "There are no files yet. You can store one with the command sisyphus put."
    if len(names) > _MAX_LISTED:
        return f"There are {len(names)} files, among them {', '.join(names[: _MAX_LISTED - 1])}, and others."
    return f"There is {_listed(names)}."


def not_understood(templates: Sequence[Template]) -> str:
    """A helpful sentence for what matched nothing; it never repeats what was heard."""
    example = f" You can say, for example: {templates[0].example}." if templates else ""
    return f"{NOT_UNDERSTOOD}{example}"


def which_one(names: Sequence[str]) -> str:
    """The question when several objects have the name that was said, or none is near enough."""
    asked = [f"the {name}" for name in names[:3]]
    return f"Which file do you mean: {_listed(asked, 'or')}?" if asked else "Which file do you mean?"


def _running(record: TaskRecord, manner: Manner) -> str:
    subject = manner.label[:1].upper() + manner.label[1:]
    if record.state is TaskState.QUEUED:
        return f"{subject} is waiting to be started."
    line = f" {as_sentence(record.message)}" if record.message else ""
    return f"{subject} is {round(record.progress)} percent done.{line}"


def _moment(record: TaskRecord) -> datetime:
    return record.finished_at or record.created_at


def _silent(template: Template) -> set[str]:
    return {name for name, parameter in template.parameters.items() if not parameter.is_required}


def _listed(names: Sequence[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
