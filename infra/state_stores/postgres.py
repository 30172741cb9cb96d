"""PostgreSQL: asyncpg below SQLAlchemy, row locks, and wake-ups by LISTEN/NOTIFY on a connection of their own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar, cast

import asyncpg
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from infra.log import get_logger
from infra.state_stores.database import CommitUnknownError, Database, Transaction, Work
from infra.state_stores.schema import ensure_schema
from infra.state_stores.wake import Wakes, encoded

log = get_logger(__name__)
T = TypeVar("T")

_CHANNEL = "sisyphus_wake"
#: Connections for transactions, and beside them one for wake-ups.
_POOL, _EXTRA = 5, 1
#: Deadlines in seconds: to connect, for one statement (with its wait for a lock), for a free connection.
_CONNECT_S, _STATEMENT_S, _POOL_S = 5.0, 10.0, 10.0
#: Pause before listening again, in seconds; it doubles up to the second number.
_RELISTEN_S, _RELISTEN_MAX_S = 0.2, 5.0
#: SQLSTATE of errors that another try may not meet: serialization, deadlock, shutdown, too many connections.
_PASSING = ("40001", "40P01", "57P01", "57P02", "57P03", "53300", "55P03")
_NOTIFY = text("SELECT pg_notify(:channel, :letters)")
#: A query of the catalogue: to_regclass() answers from a cache that may be older than the wait for the lock.
_HAS_VERSION = (
    "SELECT 1 FROM pg_tables WHERE tablename = 'alembic_version' AND schemaname = ANY(current_schemas(false))"
)
#: An arbitrary number that only migrations of this program lock.
_MIGRATION_LOCK = "SELECT pg_advisory_xact_lock(7345129004116)"


class NotifyWakes(Wakes):
    """Listens on one connection from the first listener on until `close`; connects again when it breaks."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self._engine = engine
        self._loop_task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def _open(self) -> None:
        if self._loop_task is None:
            self._loop_task = asyncio.create_task(self._listen_loop(), name="state-store-wakes")
        # Without the database there are no wake-ups, but the listener's own time-out still makes it look.
        with suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                await self._ready.wait()

    def _idle(self) -> None:
        """The connection stays: listeners come and go."""

    async def _listen_loop(self) -> None:
        pause = _RELISTEN_S
        while True:
            lost = asyncio.Event()
            try:
                async with self._engine.connect() as connection:
                    await self._listen_on(connection, lost)
                    self._ready.set()
                    self.wake_all()  # whatever happened while nobody listened
                    pause = _RELISTEN_S
                    await lost.wait()
                    await connection.invalidate()
            except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("wake_connection_failed", error=str(error), consequence="nodes poll until it is back")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RELISTEN_MAX_S)

    async def _listen_on(self, connection: AsyncConnection, lost: asyncio.Event) -> None:
        raw = await connection.get_raw_connection()
        driver = cast("asyncpg.Connection[asyncpg.Record]", raw.driver_connection)

        def ended(_connection: object) -> None:
            lost.set()

        driver.add_termination_listener(ended)
        await driver.add_listener(_CHANNEL, self._heard)

    def _heard(self, *message: object) -> None:
        self.wake(str(message[-1]))

    async def close(self) -> None:
        """Stop listening. Idempotent."""
        task, self._loop_task = self._loop_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=_CONNECT_S)


class PostgresDatabase(Database):
    """The database of a cluster."""

    single_writer = False

    def __init__(self, url: URL) -> None:
        super().__init__(url.render_as_string(hide_password=True))
        self._engine = create_async_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_size=_POOL,
            max_overflow=_EXTRA,
            pool_timeout=_POOL_S,
            connect_args={
                "timeout": _CONNECT_S,
                "command_timeout": _STATEMENT_S,
                "server_settings": {"application_name": "sisyphus", "jit": "off"},
            },
        )
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.wakes = NotifyWakes(self._engine)

    async def open(self) -> None:
        """Connect and bring the tables up to date."""
        await self._tried(lambda _: self._migrate(), "", replayable=True)

    async def _migrate(self) -> None:
        async with self._engine.connect() as connection:
            await connection.run_sync(_ensure)

    async def _read(self, work: Work[T]) -> T:
        async with self._snapshots.connect() as connection:
            return await connection.run_sync(lambda sync: work(Transaction(sync, is_postgres=True)))

    async def _write(self, work: Work[T], token: str, replayed: bool) -> T:
        def transact(connection: Connection) -> T:
            transaction = Transaction(connection, is_postgres=True, token=token, replayed=replayed)
            result = work(transaction)
            if transaction.topics:  # delivered by the commit
                transaction.run(_NOTIFY, {"channel": _CHANNEL, "letters": encoded(transaction.topics)})
            return result

        async with self._engine.connect() as connection:
            result = await connection.run_sync(transact)
            try:
                await connection.commit()
            except (DBAPIError, OSError) as error:
                raise CommitUnknownError from error
        return result

    def _is_conflict(self, error: DBAPIError) -> bool:
        return getattr(error.orig, "sqlstate", None) in _PASSING

    async def close(self) -> None:
        """Give back connections. Idempotent."""
        self.is_closed = True
        await self.wakes.close()
        await self._engine.dispose()


def _ensure(connection: Connection) -> None:
    ensure_schema(connection, _HAS_VERSION, lock=_MIGRATION_LOCK)


async def open_postgres(url: URL) -> PostgresDatabase:
    """Open.

    Raises:
        ConfigurationError: a newer version of this program made the tables.
        StateStoreError: it does not answer.
    """
    database = PostgresDatabase(url)
    try:
        await database.open()
    except BaseException:
        await database.close()
        raise
    return database
