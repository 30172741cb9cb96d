"""SQLite: one connection that writes and one that reads, each on the thread that aiosqlite gives it.

A write transaction begins IMMEDIATE, so it never has to upgrade a lock and can never deadlock; readers see the last
commit (WAL) and wait for nobody.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import TypeVar, cast

import aiosqlite
from sqlalchemy import Connection, RootTransaction, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import StaticPool
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from infra.errors import ConfigurationError, StateStoreError
from infra.state_stores.database import CommitUnknownError, Database, Transaction, Work
from infra.state_stores.schema import ensure_schema, is_current
from infra.state_stores.wake_sockets import SocketWakes, WakeSender, wake_directory

T = TypeVar("T")

#: How long SQLite itself waits for another process's lock, in seconds, before the call is tried again.
_BUSY_S = 4.0


class SqliteThread(aiosqlite.Connection):
    """One SQLite connection and its thread. A whole transaction is one hop to it, not one hop per statement."""

    def __init__(self, path: Path, begin: str) -> None:
        super().__init__(self._connect_here, iter_chunk_size=64)
        self._path, self._begin = path, begin
        self._sql: Connection | None = None
        self._thread.daemon = True  # a store that was never closed must not keep the process alive

    def _connect_here(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, cached_statements=256)
        try:
            _enter_wal(raw)
            raw.execute("PRAGMA synchronous=NORMAL")
            raw.execute("PRAGMA foreign_keys=ON")
            engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
            event.listen(engine, "begin", self._begin_transaction)
            self._sql = engine.connect()
        except BaseException:
            raw.close()
            raise
        return raw

    def _begin_transaction(self, connection: Connection) -> None:
        connection.exec_driver_sql(self._begin)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on the connection's thread."""
        if self._sql is None:
            raise StateStoreError("the state store is closed; open it again")
        # aiosqlite's own entry for any function; untyped there, so it is called by name.
        return cast("T", await methodcaller("_execute", work, self._sql)(self))

    async def close(self) -> None:
        """Close the connection after what is queued. Idempotent."""
        if self._sql is not None:
            await self.run(_dispose)
            self._sql = None
        await super().close()
        if self._thread.is_alive():  # its last word needs the event loop
            await asyncio.to_thread(self._thread.join, _BUSY_S)


@retry(
    retry=retry_if_exception_type(sqlite3.OperationalError),
    stop=stop_after_delay(_BUSY_S),
    wait=wait_fixed(0.02),
    reraise=True,
)
def _enter_wal(raw: sqlite3.Connection) -> None:
    # Two processes that turn a new file to WAL at once: SQLite refuses one at once instead of letting it wait.
    raw.execute("PRAGMA journal_mode=WAL")


def _dispose(connection: Connection) -> None:
    connection.close()
    connection.engine.dispose()


@contextmanager
def _begun(connection: Connection) -> Generator[RootTransaction]:
    """A transaction. However it ends, the connection can begin another one."""
    try:
        with connection.begin() as scope:
            yield scope
    except BaseException:
        # When COMMIT fails (a lock, a full disk), SQLAlchemy and SQLite both stay in the transaction.
        connection.rollback()
        raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        if raw.in_transaction:
            raw.rollback()
        raise


class _Ticket:
    """Whether the caller still waits; a transaction whose caller was cancelled is rolled back."""

    abandoned = False


class AbandonedError(Exception):
    """Rolls back a transaction whose caller is gone; nobody is left to see it."""


class SqliteDatabase(Database):
    """The embedded database."""

    single_writer = True

    def __init__(self, path: Path) -> None:
        path = path.absolute()
        super().__init__(str(path))
        self._folder = path.parent
        directory = wake_directory(path)
        self.wakes = SocketWakes(directory)
        self._sender = WakeSender(directory)
        self._writer = SqliteThread(path, "BEGIN IMMEDIATE")
        self._reader = SqliteThread(path, "BEGIN")

    async def open(self) -> None:
        """Connect and bring the tables up to date, making the file and its folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await self._reader
        await self._writer
        # Only who must change something waits for the one writer: a look at a busy database succeeds.
        if not await self._reader.run(_is_current):
            await self._writer.run(_ensure)

    async def _read(self, work: Work[T]) -> T:
        def transact(connection: Connection) -> T:
            with _begun(connection):
                return work(Transaction(connection, is_postgres=False))

        return await self._reader.run(transact)

    async def _write(self, work: Work[T], token: str, replayed: bool) -> T:
        ticket = _Ticket()
        try:
            return await self._writer.run(partial(self._transact, work, ticket, token, replayed))
        except asyncio.CancelledError:
            ticket.abandoned = True
            raise

    def _transact(self, work: Work[T], ticket: _Ticket, token: str, replayed: bool, connection: Connection) -> T:
        transaction = Transaction(connection, is_postgres=False, token=token, replayed=replayed)
        with _begun(connection) as scope:
            result = work(transaction)
            if ticket.abandoned:
                raise AbandonedError
            try:
                scope.commit()
            except DBAPIError as error:
                raise CommitUnknownError from error
        if transaction.topics:
            self._sender.send(transaction.topics)
        return result

    def _is_conflict(self, error: DBAPIError) -> bool:
        return isinstance(error, OperationalError) and any(x in str(error.orig) for x in ("locked", "busy"))

    async def close(self) -> None:
        """Stop both threads. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = True
        await self.wakes.close()
        await self._reader.close()
        await self._writer.close()
        self._sender.close()


_HAS_VERSION = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"


def _is_current(connection: Connection) -> bool:
    return is_current(connection, _HAS_VERSION)


def _ensure(connection: Connection) -> None:
    ensure_schema(connection, _HAS_VERSION, lock=None)


async def open_sqlite(database: str | None) -> SqliteDatabase:
    """Open, creating the file and its folder.

    Raises:
        ConfigurationError: no file is named; processes cannot meet in memory.
        StateStoreError: it cannot be opened.
    """
    if not database or database == ":memory:":
        raise ConfigurationError("the SQLite state store needs a file: sqlite+aiosqlite:////absolute/path.db")
    store = SqliteDatabase(Path(database))
    try:
        await store.open()
    except (sqlite3.Error, DBAPIError, OSError) as error:
        await store.close()
        raise store.translated(error) from error
    return store
