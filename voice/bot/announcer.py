"""Task -> speech: reads the durable events of a session's tasks and says them when both sides are quiet.

Invariants: an event is said at most once, and its offset is committed only after it was played, so a crash may repeat
one sentence and never lose one. Before each announcement the session's lease is checked, so that two nodes never
speak for one session. What is spoken is what the database says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from infra.errors import StateStoreError
from infra.log import get_logger
from infra.state_store import Listener, Topic
from schemas.event import Event, EventType
from schemas.record import TaskRecord
from schemas.state import TaskState
from voice.bot.mouth import Outcome, Utterance
from voice.bot.narration import Announcement, Manner, is_end, is_sayable, narrate, summarize
from voice.bot.picture import MAX_TASKS

log = get_logger(__name__)

#: Seconds after which the store is read again even if nobody woke us, and the shortest time between two reads.
_POLL_S, _PACE_S = 1.0, 0.1
#: Seconds of silence on both sides before something is said unasked.
_QUIET_S = 0.4
#: Events of one task that wait to be said; beyond it the oldest milestones are superseded anyway.
_MAX_UNSAID = 64
_BATCH = 500


class Store(Protocol):
    """What is read of the state store."""

    async def find(
        self,
        *,
        states: Collection[TaskState] = (),
        session: str | None = None,
        workflow: str | None = None,
        limit: int = 50,
    ) -> list[TaskRecord]:
        """Tasks, newest first."""
        ...

    async def load(self, task_id: str) -> TaskRecord | None:
        """One task, or None."""
        ...

    async def events(self, task_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        """Events of one task with ``seq > after``, in order."""
        ...

    def listen(self, *topics: Topic) -> AbstractAsyncContextManager[Listener]:
        """Listen for changes made by any process."""
        ...


class Book(Protocol):
    """The session's record: which events have been said."""

    @property
    def id(self) -> str:
        """The session."""
        ...

    @property
    def is_resumed(self) -> bool:
        """Whether the session existed before this connection."""
        ...

    def spoken(self, task_id: str) -> int:
        """The `seq` up to which the task's events have been said."""
        ...

    async def commit(self, spoken: dict[str, int]) -> None:
        """Write new offsets, fenced; an empty one only checks that the session is still ours. Raises LeaseLost."""
        ...


class Speaker(Protocol):
    """The mouth."""

    def say(self, text: str, task: str | None = None) -> Utterance:
        """Say it after everything given before."""
        ...


class Quiet(Protocol):
    """The floor."""

    async def until_free(self, for_s: float) -> None:
        """Return once nobody has had the floor for `for_s` seconds."""
        ...


@dataclass(slots=True)
class _Track:
    """One task: read up to `read`, of which `unsaid` is still to be said."""

    record: TaskRecord
    read: int
    unsaid: list[Event] = field(default_factory=list[Event])
    is_missed: bool = False  # what is unsaid happened before this connection


class Announcer:
    """Follows one session's tasks. Run `watch` and `talk` side by side; both end by being cancelled.

    Args:
        store: where records and events are.
        book: what has been said.
        speaker: says it.
        floor: when.
        manner_of: how a task is spoken of.
        on_task: told each record that is new or changed, for the page.
    """

    def __init__(
        self,
        store: Store,
        book: Book,
        speaker: Speaker,
        floor: Quiet,
        manner_of: Callable[[TaskRecord], Manner],
        on_task: Callable[[TaskRecord], None],
    ) -> None:
        self._store, self._book, self._speaker, self._floor = store, book, speaker, floor
        self._manner_of, self._on_task = manner_of, on_task
        self._tracks: dict[str, _Track] = {}
        self._expected: dict[str, asyncio.Future[Outcome] | None] = {}
        self._news = asyncio.Event()
        self._is_read = asyncio.Event()
        self._said = asyncio.Event()
        self._is_talking = False

    @property
    def is_idle(self) -> bool:
        """Whether every known task has ended and everything about them has been said."""
        busy = self._expected or self._is_talking or any(t.unsaid or not t.record.is_terminal for t in self._known())
        return self._is_read.is_set() and not busy

    @property
    def records(self) -> list[TaskRecord]:
        """The session's tasks as last read, oldest first."""
        return [track.record for track in self._known()]

    def expect(self, task_id: str) -> None:
        """A task is about to be submitted whose start is said by somebody else."""
        self._expected[task_id] = None

    def acknowledged(self, record: TaskRecord | None, task_id: str, said: Utterance | None) -> None:
        """The expected task was accepted and `said` names it; or with None: it was not."""
        if record is None or said is None:
            self._expected.pop(task_id, None)
            return
        self._expected[task_id] = said.done
        self._follow(record)
        said.done.add_done_callback(lambda _: self._news.set())

    async def watch(self) -> None:
        """Read what happens, for the page and for `talk`, until cancelled."""
        async with self._store.listen(Topic.EVENT) as listener:
            while True:
                try:
                    await self._read_all(is_first=not self._is_read.is_set())
                    self._is_read.set()
                except StateStoreError as error:
                    log.warning("announcer_blind", error=str(error), consequence="read again in a second")
                    await asyncio.sleep(_POLL_S)
                    continue
                await asyncio.sleep(_PACE_S)
                await listener.wait(_POLL_S)

    async def talk(self) -> None:
        """Say what is to be said, until cancelled.

        Raises:
            LeaseLost: the session was opened elsewhere; nothing must be said here any more.
        """
        await self._is_read.wait()
        await self._say_missed()
        while True:
            await self._news.wait()
            self._news.clear()
            await self._commit_acknowledged()
            while (await self._settled()) is not None:
                await self._floor.until_free(_QUIET_S)
                # Something newer may have come while the floor was taken.
                if (announcement := await self._settled()) is not None:
                    await self._announce([announcement], announcement.text, announcement.task)

    async def drain(self, timeout_s: float) -> None:
        """Wait until what is known now has been said, at most `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._is_talking or self._pick() is not None:
                    self._said.clear()
                    await self._said.wait()

    def _known(self) -> list[_Track]:
        return sorted(self._tracks.values(), key=lambda track: (track.record.created_at, track.record.id))

    def _follow(self, record: TaskRecord) -> _Track:
        track = self._tracks.get(record.id)
        if track is None:
            track = self._tracks[record.id] = _Track(record, self._book.spoken(record.id))
            self._on_task(record)
        return track

    async def _read_all(self, *, is_first: bool) -> None:
        found = await self._store.find(session=self._book.id, limit=MAX_TASKS)
        for record in reversed(found):
            track = self._follow(record)
            if record.seq > track.read or record.seq > track.record.seq:
                await self._read(track, record)
                track.is_missed = track.is_missed or (is_first and self._book.is_resumed and bool(track.unsaid))
        for task_id in self._tracks.keys() - {record.id for record in found}:
            if self._tracks[task_id].record.is_terminal and not self._tracks[task_id].unsaid:
                del self._tracks[task_id]

    async def _read(self, track: _Track, record: TaskRecord) -> None:
        while batch := await self._store.events(record.id, track.read, _BATCH):
            track.unsaid.extend(event for event in batch if self._is_to_be_said(event))
            track.read = batch[-1].seq
        if len(track.unsaid) > _MAX_UNSAID:
            track.unsaid = track.unsaid[-_MAX_UNSAID:]
        if track.read > record.seq:
            # The events are newer than the record: what is said must fit what has happened.
            record = await self._store.load(record.id) or record
        if record != track.record:
            track.record = record
            self._on_task(record)
        if track.unsaid:
            self._news.set()

    def _is_to_be_said(self, event: Event) -> bool:
        return is_sayable(event) and not (event.type is EventType.ACCEPTED and event.task_id in self._expected)

    async def _commit_acknowledged(self) -> None:
        for task_id, done in list(self._expected.items()):
            track = self._tracks.get(task_id)
            if done is None or not done.done() or track is None:
                continue
            del self._expected[task_id]
            if done.result() is not Outcome.DROPPED:
                await self._book.commit({task_id: max(1, self._book.spoken(task_id))})
            elif first := await self._store.events(task_id, 0, 1):
                track.unsaid.insert(0, first[0])

    async def _settled(self) -> Announcement | None:
        await self._commit_acknowledged()
        return self._pick()

    def _pick(self) -> Announcement | None:
        found = [a for track in self._known() if (a := self._announcement(track)) is not None]
        return min(found, key=lambda a: a.rank, default=None)

    def _announcement(self, track: _Track) -> Announcement | None:
        if not track.unsaid or track.record.id in self._expected:
            return None
        if is_end(track.unsaid[-1]) and not track.record.is_terminal:
            return None
        is_open = [t for t in self._tracks.values() if not t.record.is_terminal]
        return narrate(track.record, track.unsaid, self._manner_of(track.record), among_others=len(is_open) > 1)

    async def _say_missed(self) -> None:
        missed = [a for t in self._known() if t.is_missed and (a := self._announcement(t)) is not None]
        if missed:
            await self._floor.until_free(_QUIET_S)
            await self._announce(missed, summarize(missed), missed[0].task if len(missed) == 1 else None)

    async def _announce(self, covered: list[Announcement], text: str, task: str | None) -> None:
        self._is_talking = True
        try:
            await self._book.commit({})
            outcome = await self._speaker.say(text, task).done
            if outcome is Outcome.DROPPED:
                # Nobody heard any of it: it stays to be said, after a breath.
                self._news.set()
                await asyncio.sleep(_QUIET_S)
                return
            for announcement in covered:
                track = self._tracks[announcement.task]
                track.unsaid = [event for event in track.unsaid if event.seq > announcement.seq]
            await self._book.commit({a.task: a.seq for a in covered})
        finally:
            self._is_talking = False
            self._said.set()
