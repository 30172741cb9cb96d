"""What one session asks of the cluster: start, cancel, and the list of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from infra.cluster import Cluster
from schemas.record import TaskRecord
from schemas.template import Template
from voice.bot import replies
from voice.bot.dialog import Cancel, Start
from voice.bot.narration import Manner
from voice.bot.submitter import Submitter


class Followed(Protocol):
    """The announcer's view of the session's tasks."""

    @property
    def records(self) -> list[TaskRecord]:
        """Oldest first, as last read."""
        ...


class Errands:
    """One session's errands. A session can stop only its own tasks."""

    def __init__(
        self,
        cluster: Cluster,
        session: str,
        submitter: Submitter,
        followed: Followed,
        templates: Mapping[str, Template],
    ) -> None:
        self._cluster, self._session, self._submitter = cluster, session, submitter
        self._followed, self._templates = followed, templates

    async def start(self, act: Start) -> None:
        """Submit a task and say so."""
        await self._submitter.submit(act.template, act.values, act.spoken)

    async def cancel(self, act: Cancel) -> str:
        """Stop tasks; what is to be said about it, by what the database says. Raises StateStoreError."""
        stopped = 0
        for task_id in act.tasks:
            before = await self._cluster.status(task_id)
            if not before.is_terminal and not before.committed:
                await self._cluster.cancel(task_id, "canceled by voice")
                stopped += 1
        return act.text if stopped else replies.TOO_LATE

    def known(self) -> list[tuple[TaskRecord, Manner]]:
        """The session's tasks, oldest first."""
        return [(record, self.manner(record)) for record in self._followed.records]

    def manner(self, record: TaskRecord) -> Manner:
        """How a task is spoken of."""
        return replies.manner_of(record, self._templates)
