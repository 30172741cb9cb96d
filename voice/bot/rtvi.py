"""What the page is told, over RTVI: numbered messages, and a snapshot that replaces everything.

Invariants: `seq` only rises over all connections of a session (its high part is the session's epoch); nothing is sent
before the client is ready or after `shut`; memory is bounded, since what cannot be sent in time is replaced by a
snapshot; changes of one task are merged to at most ten messages a second.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from schemas.record import TaskRecord
from schemas.state import TaskState
from voice.bot.floor import BotState
from voice.bot.narration import SPOKEN_TAG, why

Message = dict[str, JsonValue]

#: Messages per connection before the numbers of the next one would be reached.
_SEQ_PER_EPOCH = 1_000_000_000
#: Seconds between two messages about tasks.
_PACE_S = 0.1
#: Messages that may wait; beyond it a snapshot takes their place.
_MAX_WAITING = 200
#: Largest message in bytes: data channels get slow and fragile above 16 kB.
MAX_BYTES = 15_000
_MAX_TASKS, _MAX_LINES, _MAX_OUTPUTS, _MAX_TODOS, _MAX_CHARS = 20, 40, 12, 24, 200


@dataclass(frozen=True, slots=True)
class VoiceState:
    """Whether this server can hear and speak, and if not, why."""

    ready: bool
    reason: str | None = None

    def message(self) -> Message:
        """As the page reads it."""
        return {"ready": self.ready, "reason": self.reason}


def card(record: TaskRecord) -> Message:
    """One task as the page shows it."""
    document = record.document
    subject = next((value for key, value in document.tags.items() if key.startswith(SPOKEN_TAG)), "")
    name = document.name if document.name != "no-name" else document.commands[0].title or "task"
    title = name[:1].upper() + name[1:]
    outputs = [str(output.remote) for output in record.outputs if record.committed]
    return {
        "id": record.id,
        "name": name,
        "title": f"{title}: {subject}" if subject else title,
        "state": record.state.value,
        "progress": None if record.state is TaskState.QUEUED else round(record.progress),
        "line": _cut(record.message),
        "result": _cut(record.result),
        "error": why(record.failure) if record.failure and record.state is not TaskState.COMPLETE else None,
        "outputs": [*outputs[:_MAX_OUTPUTS]],
        "todos": [{"title": item.title[:80], "status": item.state.value} for item in record.todos[:_MAX_TODOS]],
        "created_at": record.created_at.isoformat(),
    }


class Feed:
    """One connection's messages to its page. Run `pump`; everything else only notes what is to be sent.

    Args:
        session: the session's id.
        epoch: the session's epoch.
        transcript: the conversation so far, read at every snapshot.
        send: hands a message to the client.
    """

    def __init__(
        self,
        session: str,
        epoch: int,
        transcript: Callable[[], Iterable[JsonValue]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._session, self._send, self._transcript = session, send, transcript
        self._seq = epoch * _SEQ_PER_EPOCH
        self._cards: dict[str, Message] = {}
        self._dirty: set[str] = set()
        self._waiting: deque[Message] = deque()
        self._state = BotState.LISTENING
        self._voice = VoiceState(ready=True)
        self._news = asyncio.Event()
        self._needs_snapshot = False
        self._is_open = self._is_shut = False

    def open(self) -> None:
        """The client is ready: send it a snapshot, and from now on everything. Idempotent."""
        self._is_open = True
        self._needs_snapshot = True
        self._news.set()

    def shut(self) -> None:
        """Send nothing any more. Idempotent."""
        self._is_shut = True
        self._news.set()

    def voice(self, state: VoiceState) -> None:
        """Whether the server can hear and speak."""
        self._voice = state

    def task(self, record: TaskRecord) -> None:
        """A task is new or has changed."""
        self._cards[record.id] = card(record)
        self._dirty.add(record.id)
        while len(self._cards) > _MAX_TASKS:
            oldest = next(iter(self._cards))
            del self._cards[oldest]
            self._dirty.discard(oldest)
        self._news.set()

    def state(self, state: BotState) -> None:
        """What the bot does now."""
        self._state = state
        self._note({"kind": "state", "state": state.value})

    def heard(self, text: str) -> None:
        """The user said something that was understood."""
        self._note({"kind": "heard", "text": text})

    def said(self, text: str, task: str | None) -> None:
        """The bot says something."""
        self._note({"kind": "say", "text": text, "task": task})

    def snapshot(self) -> Message:
        """Everything as of now, under a new number; takes the place of whatever waits."""
        self._waiting.clear()
        self._dirty.clear()
        self._needs_snapshot = False
        tasks, lines = list(self._cards.values()), list(self._transcript())[-_MAX_LINES:]
        while True:
            message: Message = {
                "kind": "snapshot",
                "seq": self._next(),
                "session": self._session,
                "state": self._state.value,
                "tasks": [*tasks],
                "transcript": [*lines],
                "voice": self._voice.message(),
            }
            if len(json.dumps(message)) <= MAX_BYTES or not (tasks or lines):
                return message
            # The newest are what matters; half of the rest is let go at a time.
            tasks, lines = tasks[(len(tasks) + 1) // 2 :], lines[(len(lines) + 1) // 2 :]

    async def pump(self) -> None:
        """Send what is noted, until cancelled or shut."""
        while not self._is_shut:
            await self._news.wait()
            self._news.clear()
            if not self._is_open:
                continue
            await self._send_waiting()
            if self._dirty and not self._is_shut:
                await self._send_tasks()
                await asyncio.sleep(_PACE_S)

    async def _send_waiting(self) -> None:
        if self._needs_snapshot:
            await self._send(self.snapshot())
        while self._waiting and not self._is_shut:
            await self._send({**self._waiting.popleft(), "seq": self._next()})

    async def _send_tasks(self) -> None:
        for task_id in sorted(self._dirty):
            self._dirty.discard(task_id)
            if self._is_shut:
                return
            await self._send({"kind": "task", "seq": self._next(), "task": self._cards[task_id]})

    def _note(self, message: Message) -> None:
        if not self._is_open or self._is_shut:
            return
        self._waiting.append(message)
        if len(self._waiting) > _MAX_WAITING:
            self._waiting.clear()
            self._needs_snapshot = True
        self._news.set()

    def _next(self) -> int:
        self._seq += 1
        return self._seq


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 1]}…"
