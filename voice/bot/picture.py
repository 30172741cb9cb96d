"""What a page shows of a session: a card per task, the conversation, the voice. Pure; the same with a call and without.

A snapshot names every task (`task_ids`) and carries the cards that fit into its size, unfinished and newest ones
first; whoever sends it sends the other cards after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from schemas.failure import Cause, Failure
from schemas.record import OutputRecord, TaskRecord
from schemas.state import TERMINAL, TaskState
from schemas.todo import ItemKind, ItemState, TodoItem
from voice.bot.floor import BotState
from voice.bot.narration import SPOKEN_TAG, why

Message = dict[str, JsonValue]

#: Tasks of one session that a page is told of.
MAX_TASKS = 50
#: Lines of the conversation, output files and steps of one task, lines of a failed command's output.
MAX_LINES, _MAX_OUTPUTS, _MAX_TODOS, _MAX_LOG_LINES = 60, 12, 24, 3
#: Characters of a sentence, of a step's title, of a file's name, of the reason of a failure.
_MAX_CHARS, _MAX_STEP_CHARS, _MAX_PATH_CHARS, _MAX_DETAIL_CHARS = 200, 80, 300, 400
#: States in which the failure of the last attempt is what matters.
_FAILED = frozenset({TaskState.RETRY_WAIT, *TERMINAL} - {TaskState.COMPLETE})
#: Values of a card's ``state`` after which nothing changes any more.
_ENDED = frozenset(state.value for state in TERMINAL)


@dataclass(frozen=True, slots=True)
class VoiceState:
    """Whether this server can hear and speak, and if not, why."""

    ready: bool
    reason: str | None = None

    def message(self) -> Message:
        """As the page reads it."""
        return {"ready": self.ready, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Picture:
    """A session at one moment.

    Attributes:
        cards: by task id, oldest first.
        lines: the conversation, oldest first.
    """

    session: str
    cards: Mapping[str, Message]
    lines: Iterable[JsonValue]
    voice: VoiceState
    state: BotState = BotState.LISTENING

    def snapshot(self, seq: int, max_bytes: int | None = None) -> tuple[Message, list[str]]:
        """The message that replaces whatever a page shows, and the tasks whose cards did not fit.

        Args:
            seq: the message's number.
            max_bytes: its size; a third of it at most is the conversation. None: no limit.
        """
        lines = list(self.lines)[-MAX_LINES:]
        newest = list(self.cards.items())[::-1]
        first = sorted(newest, key=lambda item: is_ended(item[1]))
        message: Message = {
            "kind": "snapshot",
            "seq": seq,
            "session": self.session,
            "state": self.state.value,
            "task_ids": [*self.cards],
            "voice": self.voice.message(),
        }
        if max_bytes is not None:
            lines = _within(max_bytes // 3, lines[::-1])[::-1]
            left = max_bytes - len(json.dumps({**message, "transcript": lines, "tasks": []}))
            first = first[: len(_within(left, [shown for _, shown in first]))]
        shown = dict(first)
        cards: list[JsonValue] = [self.cards[key] for key in self.cards if key in shown]
        message |= {"tasks": cards, "transcript": [*lines]}
        return message, [key for key in self.cards if key not in shown]


def card(record: TaskRecord) -> Message:
    """One task as the page shows it."""
    document = record.document
    subject = next((value for key, value in document.tags.items() if key.startswith(SPOKEN_TAG)), "")
    name = document.name if document.name != "no-name" else document.commands[0].title or "task"
    title = name[:1].upper() + name[1:]
    failure = record.failure if record.state in _FAILED else None
    files = outputs(record)
    return {
        "id": record.id,
        "name": name,
        "title": f"{title}: {subject}" if subject else title,
        "state": record.state.value,
        "progress": None if record.state is TaskState.QUEUED else round(record.progress),
        "line": _cut(record.message),
        "result": _cut(record.result),
        "error": why(failure) if failure else None,
        "detail": _detail(failure) if failure else None,
        "outputs": [
            {"path": _cut(str(file.remote), _MAX_PATH_CHARS), "bytes": file.size_bytes} for file in files[:_MAX_OUTPUTS]
        ],
        "output_count": len(files),
        "todos": [{"title": _step(item), "status": item.state.value} for item in record.todos[:_MAX_TODOS]],
        "todo_count": len(record.todos),
        "todo_done": sum(item.state is ItemState.COMPLETED for item in record.todos),
        "created_at": record.created_at.isoformat(),
    }


def outputs(record: TaskRecord) -> tuple[OutputRecord, ...]:
    """What the task has stored, in the order in which the page numbers it."""
    return record.outputs if record.committed else ()


def is_ended(shown: Mapping[str, JsonValue]) -> bool:
    """Whether the task of a card will never change again."""
    return shown["state"] in _ENDED


def _detail(failure: Failure) -> str | None:
    """What a person needs to mend it: the command's last words, or what the system says."""
    said = [line for line in failure.log_tail.splitlines() if line.strip()][-_MAX_LOG_LINES:]
    text = "\n".join(said) if failure.cause is Cause.EXIT and said else failure.message.strip()
    return _cut(text or None, _MAX_DETAIL_CHARS)


def _step(item: TodoItem) -> str:
    """A step's title; of a file that is fetched or stored only its own name."""
    title = item.title
    if item.kind is not ItemKind.COMMAND:
        verb, _, remote = title.partition(" ")
        path = remote.partition(":")[2]
        title = f"{verb} {path.rstrip('/').rpartition('/')[2]}{'/' if path.endswith('/') else ''}"
    return cast("str", _cut(title, _MAX_STEP_CHARS))


def _within(max_bytes: int, values: list[JsonValue] | list[Message]) -> list[JsonValue]:
    """The first of the values that fit."""
    kept: list[JsonValue] = []
    for value in values:
        max_bytes -= len(json.dumps(value)) + 2
        if max_bytes < 0:
            break
        kept.append(cast("JsonValue", value))
    return kept


def _cut(text: str | None, limit: int = _MAX_CHARS) -> str | None:
    return text if text is None or len(text) <= limit else f"{text[: limit - 1]}…"
