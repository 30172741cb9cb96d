"""What is said about a task: from its durable events to one sentence or none. Pure.

Owns the wording of milestones and ends, their rank, and what a newer event makes superfluous. What is said rests on
nothing but the database's record and events, so it is the same on every node and after every crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from schemas.event import Event, EventType
from schemas.failure import Cause, Failure
from schemas.record import TaskRecord
from schemas.state import TERMINAL, TaskState
from schemas.template import Template

#: Milestones of one task that are said together; older ones are superseded by these.
_MAX_MERGED = 2
#: A milestone longer than this is cut: it is read aloud while somebody waits.
_MAX_CHARS = 200
#: More ends than this are counted in a summary, not told one by one.
_MAX_TOLD = 4
#: Tags of a task document that hold the spoken forms of its values.
SPOKEN_TAG = "spoken."

_WHY: Mapping[Cause, str] = {
    Cause.OUT_OF_MEMORY: "It ran out of memory.",
    Cause.DISK_FULL: "It needed more disk space than it may use.",
    Cause.TIMEOUT: "It took longer than it may.",
    Cause.OUTPUT_MISSING: "It ended without writing its result.",
    Cause.INPUT_MISSING: "A file that it needs does not exist.",
    Cause.INVALID: "What it asks for cannot be done.",
    Cause.IMAGE: "Its container image cannot be had.",
    Cause.INFRASTRUCTURE: "The system could not carry it out.",
    Cause.NODE_LOST: "The machines that worked on it were lost.",
    Cause.CANCELED: "It was canceled.",
}
_ENDS = frozenset(state.value for state in TERMINAL)


class Rank(IntEnum):
    """What is said first."""

    FAILED = 0
    DONE = 1
    PROGRESS = 2


@dataclass(frozen=True, slots=True)
class Manner:
    """How one task is spoken of.

    Attributes:
        label: what people call it, e.g. "count words of the annual report".
        template: where it came from, if from a template that is still known.
        spoken: parameter -> the spoken form of its value.
    """

    label: str
    template: Template | None = None
    spoken: Mapping[str, str] = field(default_factory=dict[str, str])

    def started(self) -> str:
        """The sentence that names the task as it starts."""
        return self.template.say("started", self.spoken) if self.template else f"Starting {self.label}."

    def ended(self, record: TaskRecord) -> str:
        """The sentence for a terminal record."""
        if record.state is TaskState.COMPLETE:
            result = _short(record.result or "").rstrip(".")
            if self.template:
                return self.template.say("complete", self.spoken, result=result)
            return as_sentence(f"{self.label} is complete: {result}" if result else f"{self.label} is complete")
        if record.state is TaskState.CANCELED:
            return as_sentence(f"{self.label} is canceled")
        reason = why(record.failure)
        if self.template:
            return self.template.say("failed", self.spoken, reason=reason)
        return f"{as_sentence(f'{self.label} failed')} {reason}"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One utterance about one task; saying it covers every event up to `seq`."""

    task: str
    text: str
    rank: Rank
    seq: int


def is_sayable(event: Event) -> bool:
    """Whether the event may lead to anything being said."""
    match event.type:
        case EventType.ACCEPTED | EventType.RETRY:
            return True
        case EventType.PROGRESS | EventType.NOTICE:
            return bool(_text(event, "message"))
        case EventType.CLAIMED:
            return event.data.get("takeover") is True
        case EventType.STATE:
            return is_end(event)
        case _:
            return False


def is_end(event: Event) -> bool:
    """Whether the event made its task terminal."""
    return event.type is EventType.STATE and event.data.get("to") in _ENDS


def narrate(record: TaskRecord, events: Sequence[Event], manner: Manner, *, among_others: bool) -> Announcement | None:
    """What `events`, none of which was said yet, come to; None if there is nothing to say.

    Args:
        record: the task, at least as new as the last of the events.
        events: in order of `seq`.
        manner: how the task is spoken of.
        among_others: name the task with its milestones, since others run too.
    """
    fresh = [event for event in events if is_sayable(event)]
    if not fresh:
        return None
    milestones = _milestones(fresh, manner)
    if any(is_end(event) for event in fresh):
        rank = Rank.DONE if record.state in {TaskState.COMPLETE, TaskState.CANCELED} else Rank.FAILED
        said = milestones if record.state is TaskState.COMPLETE else []
        return Announcement(record.id, " ".join([*said, manner.ended(record)]), rank, fresh[-1].seq)
    if among_others and milestones:
        milestones[0] = f"{_capital(manner.label)}: {milestones[0]}"
    if fresh[0].type is EventType.ACCEPTED:
        milestones.insert(0, manner.started())
    return Announcement(record.id, " ".join(milestones), Rank.PROGRESS, fresh[-1].seq)


def summarize(missed: Sequence[Announcement]) -> str:
    """One utterance for what happened while nobody listened."""
    ends = sorted((a for a in missed if a.rank is not Rank.PROGRESS), key=lambda a: (a.rank, a.seq))
    told = [a.text for a in ends[:_MAX_TOLD]]
    if len(ends) > _MAX_TOLD:
        failed = sum(a.rank is Rank.FAILED for a in ends)
        told = [a.text for a in ends if a.rank is Rank.FAILED][:_MAX_TOLD]
        told.insert(0, f"{len(ends)} tasks ended, {failed or 'none'} of them with a failure.")
    running = [a.text for a in missed if a.rank is Rank.PROGRESS][:_MAX_TOLD]
    return " ".join(["While you were away:", *told, *running])


def why(failure: Failure | None) -> str:
    """The reason of a failure as one sentence for people."""
    if failure is None:
        return "The reason is not known."
    if failure.cause is Cause.EXIT:
        code = f" with code {failure.exit_code}" if failure.exit_code is not None else ""
        return f"Its command ended{code}."
    return _WHY[failure.cause]


def as_sentence(text: str) -> str:
    """`text` with a capital and a full stop, on one line and short enough to be read aloud."""
    short = _short(text)
    return _capital(short) if short.endswith((".", "!", "?")) else f"{_capital(short)}."


def _milestones(fresh: Iterable[Event], manner: Manner) -> list[str]:
    said: list[str] = []
    for event in fresh:
        if event.type in {EventType.PROGRESS, EventType.NOTICE}:
            said.append(as_sentence(_text(event, "message")))
        elif event.type is EventType.CLAIMED:
            said.append(as_sentence(f"another node goes on with {manner.label}"))
        elif event.type is EventType.RETRY:
            # What the failed attempt had reached is not true any more.
            said = [f"{as_sentence(f'{manner.label} had a problem')} {_retry_reason(event)} I am trying again."]
    return said[-_MAX_MERGED:]


def _retry_reason(event: Event) -> str:
    failure = event.data.get("failure")
    try:
        return why(Failure.model_validate(failure))
    except ValueError:
        return why(None)


def _text(event: Event, key: str) -> str:
    value = event.data.get(key)
    return value.strip() if isinstance(value, str) else ""


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _MAX_CHARS else f"{words[:_MAX_CHARS].rsplit(' ', 1)[0]} and so on"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
