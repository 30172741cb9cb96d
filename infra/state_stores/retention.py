"""Removing what ended long ago: rows go in small transactions, and everything about a task goes with its row."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import BindParameter, Integer, Text, bindparam, delete, exists, select

from infra.state_store import Outdated
from infra.state_stores.part import StorePart
from infra.state_stores.tables import NOW, dead_letters, sessions, tasks
from schemas.state import TERMINAL

_IDS: BindParameter[str] = bindparam("ids", type_=Text(), expanding=True)
_LIMIT = bindparam("limit", type_=Integer())
#: A subquery, so that PostgreSQL asks its clock once and can look the time up in an index: the clock moves on else.
_START = select(NOW - bindparam("keep_s")).scalar_subquery()
#: The state is asked for although only ended tasks have a time of their end: nothing else may ever be removed.
_IS_OUTDATED = (tasks.c.finished_at < _START) & tasks.c.state.in_(sorted(x.value for x in TERMINAL))
_OUTDATED = (
    select(tasks.c.id, tasks.c.epoch).where(_IS_OUTDATED).order_by(tasks.c.finished_at, tasks.c.id).limit(_LIMIT)
)
# Rows that another node is just removing are passed over instead of waited for.
_FORGET = delete(tasks).where(
    tasks.c.id.in_(select(tasks.c.id).where(tasks.c.id.in_(_IDS), _IS_OUTDATED).with_for_update(skip_locked=True))
)
_FORGET_LETTERS = delete(dead_letters).where(
    dead_letters.c.number.in_(
        select(dead_letters.c.number)
        .where(dead_letters.c.at < _START)
        .order_by(dead_letters.c.at)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
    )
)
# A session stays as long as a task of it is known: its caller may come back, and must hear nothing twice.
_FORGET_SESSIONS = delete(sessions).where(
    sessions.c.id.in_(
        select(sessions.c.id)
        .where(sessions.c.saved_at < _START)
        .where(~exists().where(tasks.c.session == sessions.c.id))
        .order_by(sessions.c.saved_at)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
    )
)


class Forgetting(StorePart):
    """See `infra.state_store.Retention`. Every method raises StateStoreError if the database does not answer."""

    async def outdated(self, keep_s: float, limit: int) -> list[Outdated]:
        """Tasks that ended more than `keep_s` seconds ago, the oldest first."""
        rows = await self._database.read(lambda tx: tx.rows(_OUTDATED, {"keep_s": keep_s, "limit": limit}))
        return [Outdated(row["id"], row["epoch"]) for row in rows]

    async def forget(self, task_ids: Collection[str], keep_s: float) -> int:
        """Remove those of the tasks that ended more than `keep_s` seconds ago; their number."""
        if not task_ids:
            return 0
        given = {"ids": list(task_ids), "keep_s": keep_s}
        return await self._database.write(lambda tx: tx.run(_FORGET, given))

    async def forget_dead_letters(self, keep_s: float, limit: int) -> int:
        """Remove dead letters that are older than `keep_s` seconds; their number."""
        given = {"keep_s": keep_s, "limit": limit}
        return await self._database.write(lambda tx: tx.run(_FORGET_LETTERS, given))

    async def forget_sessions(self, keep_s: float, limit: int) -> int:
        """Remove sessions that were last saved more than `keep_s` seconds ago and have no task; their number."""
        given = {"keep_s": keep_s, "limit": limit}
        return await self._database.write(lambda tx: tx.run(_FORGET_SESSIONS, given))
