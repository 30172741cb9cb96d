"""What the page is told, over RTVI: numbered messages, and a snapshot that replaces everything.

Invariants: `seq` only rises over all connections of a session (its high part is the session's epoch); nothing is sent
before the client is ready or after `shut`; memory is bounded, since what cannot be sent in time is replaced by a
snapshot; changes of one task are merged to at most ten messages a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from pydantic import JsonValue

from schemas.record import TaskRecord
from voice.bot.floor import BotState
from voice.bot.picture import MAX_TASKS, Message, Picture, VoiceState, card, is_ended

#: Messages per connection before the numbers of the next one would be reached.
_SEQ_PER_EPOCH = 1_000_000_000
#: Seconds between two messages about tasks.
_PACE_S = 0.1
#: Messages that may wait; beyond it a snapshot takes their place.
_MAX_WAITING = 200
#: Largest message in bytes: data channels get slow and fragile above 16 kB.
MAX_BYTES = 15_000


def first_seq(epoch: int) -> int:
    """Below every number of the connection with that epoch, and above those of the ones before."""
    return epoch * _SEQ_PER_EPOCH


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
        self._seq = first_seq(epoch)
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
        while len(self._cards) > MAX_TASKS:
            ended = (key for key, shown in self._cards.items() if is_ended(shown))
            gone = next(ended, next(iter(self._cards)))
            del self._cards[gone]
            self._dirty.discard(gone)
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
        """Everything as of now, under a new number; takes the place of whatever waits. Cards that do not fit follow."""
        self._waiting.clear()
        self._needs_snapshot = False
        picture = Picture(self._session, self._cards, self._transcript(), self._voice, self._state)
        message, left = picture.snapshot(self._next(), MAX_BYTES)
        self._dirty = set(left)
        if left:
            self._news.set()
        return message

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
            if self._is_shut:
                return
            if task_id not in self._dirty:
                # Let go, or told in a snapshot, while the ones before it were sent.
                continue
            self._dirty.discard(task_id)
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
