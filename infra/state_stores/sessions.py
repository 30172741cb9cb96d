"""Voice sessions, fenced by an epoch that rises at every opening."""

from __future__ import annotations

from sqlalchemy import bindparam, insert, select, update

from infra.errors import LeaseLost
from infra.state_stores.database import Transaction
from infra.state_stores.part import StorePart
from infra.state_stores.tables import NOW, sessions
from schemas.record import SessionRecord

_COLUMNS = [x for x in sessions.c if x.name != "saved_at"]
_RAISE = (
    update(sessions)
    .where(sessions.c.id == bindparam("key"))
    .values(epoch=sessions.c.epoch + 1, saved_at=NOW)
    .returning(*_COLUMNS)
)
_LOAD = select(*_COLUMNS).where(sessions.c.id == bindparam("key"))
_CREATE = insert(sessions).values(saved_at=NOW).returning(*_COLUMNS)
_SAVE = (
    update(sessions)
    .where(sessions.c.id == bindparam("key"), sessions.c.epoch == bindparam("of_epoch"))
    .values(saved_at=NOW)
)


class Sessions(StorePart):
    """See `infra.state_store.SessionStore`."""

    async def open_session(self, session_id: str) -> SessionRecord:
        """Create the session or take it over: its epoch rises. Raises StateStoreError."""
        return await self._database.write(lambda tx: _open(tx, session_id))

    async def load_session(self, session_id: str) -> SessionRecord | None:
        """The session as it was last saved, or None; its epoch stays. Raises StateStoreError."""
        row = await self._database.read(lambda tx: tx.row(_LOAD, {"key": session_id}))
        return None if row is None else SessionRecord.model_validate(dict(row))

    async def save_session(self, record: SessionRecord) -> None:
        """Write `spoken` and `data`. Idempotent.

        Raises:
            LeaseLost: the session was opened again since.
            StateStoreError: the database does not answer.
        """
        values = {"key": record.id, "of_epoch": record.epoch, "spoken": record.spoken, "data": record.data}
        if not await self._database.write(lambda tx: tx.run(_SAVE, values)):
            raise LeaseLost(f"session {record.id} was opened again since epoch {record.epoch}")


def _open(tx: Transaction, session_id: str) -> SessionRecord:
    tx.exclude(f"session:{session_id}")
    row = tx.row(_RAISE, {"key": session_id})
    if row is None:
        row = tx.row(_CREATE, {"id": session_id, "epoch": 1, "spoken": {}, "data": {}})
    return SessionRecord.model_validate(dict(row or {}))
