"""The session's record: what has been said and heard, written under the session's epoch.

A second connection of the same session raises the epoch; from then on every write here raises LeaseLost, so two
connections never speak for one session.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from pydantic import JsonValue

from infra.state_store import SessionStore
from schemas.record import SessionRecord

#: Lines of the conversation that are kept.
_MAX_LINES = 60
#: Tasks whose offsets are kept; must exceed what the announcer follows.
_MAX_OFFSETS = 200
_TRANSCRIPT = "transcript"


class SessionBook:
    """One connection's view of its session. Create with `open`."""

    def __init__(self, store: SessionStore, record: SessionRecord) -> None:
        self._store = store
        self._record = record
        self._spoken = dict(record.spoken)
        self._lines: deque[dict[str, JsonValue]] = deque(lines_of(record), _MAX_LINES)
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, store: SessionStore, session_id: str) -> SessionBook:
        """Create the session or take it over.

        Raises:
            StateStoreError: the database does not answer.
        """
        return cls(store, await store.open_session(session_id))

    @property
    def id(self) -> str:
        """The session."""
        return self._record.id

    @property
    def epoch(self) -> int:
        """Counts the session's connections."""
        return self._record.epoch

    @property
    def is_resumed(self) -> bool:
        """Whether the session existed before this connection."""
        return self._record.epoch > 1

    @property
    def transcript(self) -> list[dict[str, JsonValue]]:
        """The conversation so far: ``who`` ("user" or "bot") and ``text``, oldest first."""
        return list(self._lines)

    def spoken(self, task_id: str) -> int:
        """The `seq` up to which the task's events have been said."""
        return self._spoken.get(task_id, 0)

    def add_line(self, who: str, text: str) -> None:
        """Remember a line of the conversation; it is stored with the next write."""
        self._lines.append({"who": who, "text": text})

    async def commit(self, spoken: dict[str, int]) -> None:
        """Write offsets that only rise, and the conversation with them.

        Raises:
            LeaseLost: the session was opened elsewhere since.
            StateStoreError: the database does not answer.
        """
        async with self._lock:
            for task_id, seq in spoken.items():
                # Put back at the end, so that the oldest offsets are the ones that are let go.
                self._spoken[task_id] = max(seq, self._spoken.pop(task_id, 0))
            while len(self._spoken) > _MAX_OFFSETS:
                del self._spoken[next(iter(self._spoken))]
            data: dict[str, JsonValue] = {**self._record.data, _TRANSCRIPT: cast("JsonValue", list(self._lines))}
            await self._store.save_session(self._record.model_copy(update={"spoken": dict(self._spoken), "data": data}))


def lines_of(record: SessionRecord) -> list[dict[str, JsonValue]]:
    """The conversation as it was last stored, oldest first."""
    kept = record.data.get(_TRANSCRIPT)
    return [line for line in kept if isinstance(line, dict)] if isinstance(kept, list) else []
