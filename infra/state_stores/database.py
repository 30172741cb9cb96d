"""One database as the store sees it: whole transactions, retried where that is safe, errors translated.

A transaction is a plain function over a synchronous SQLAlchemy connection. SQLite runs it in one hop on the thread of
its connection, PostgreSQL under a greenlet on the event loop; the functions are the same.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, cast

from sqlalchemy import Connection, Executable, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from infra.errors import StateStoreError
from infra.state_store import Topic
from infra.state_stores.wake import Wakes

T = TypeVar("T")
#: A row by column name.
Fields: TypeAlias = Mapping[str, Any]
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]

#: Bounds of the retries of one call; a node must know of a dead database well before its fence at 20 s.
_TRIES, _TRY_FOR_S = 5, 10.0

_EXCLUDE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


class CommitUnknownError(Exception):
    """The connection broke while committing: nobody knows whether the transaction took effect."""


@dataclass(slots=True)
class Transaction:
    """What a transaction function works with.

    Attributes:
        topics: whom to wake after the commit.
        token: names the call; the same when it is tried again.
        replayed: an earlier try of the same call may have been committed.
    """

    connection: Connection
    is_postgres: bool
    token: str = ""
    replayed: bool = False
    topics: set[Topic] = field(default_factory=set[Topic])

    def run(self, statement: Executable, parameters: Parameters | None = None) -> int:
        """Execute; return the number of rows that were changed."""
        return self.connection.execute(statement, parameters).rowcount

    def rows(self, statement: Executable, parameters: Parameters | None = None) -> Sequence[Fields]:
        """Execute and fetch everything."""
        return cast("Sequence[Fields]", self.connection.execute(statement, parameters).mappings().all())

    def row(self, statement: Executable, parameters: Parameters | None = None) -> Fields | None:
        """Execute and fetch the first row."""
        return cast("Fields | None", self.connection.execute(statement, parameters).mappings().first())

    def exists(self, statement: Executable, parameters: Parameters | None = None) -> bool:
        """Execute; return whether there is a row."""
        return self.connection.execute(statement, parameters).first() is not None

    def exclude(self, name: str) -> None:
        """Keep other transactions that exclude the same name out until this one ends."""
        if self.is_postgres:  # SQLite has one writer at a time anyway
            self.connection.execute(_EXCLUDE, {"name": name})


Work: TypeAlias = Callable[[Transaction], T]


class Database(ABC):
    """Transactions on one database."""

    #: Write transactions exclude one another, so it pays to look before opening one.
    single_writer: bool
    wakes: Wakes

    def __init__(self, name: str) -> None:
        self._name = name
        self.is_closed = False

    async def read(self, work: Work[T]) -> T:
        """Run a function that only reads, over one snapshot.

        Raises:
            StateStoreError: the database does not answer, after retries.
        """
        return await self._tried(lambda _: self._read(work), "", replayable=True)

    async def write(self, work: Work[T], *, replayable: bool = True) -> T:
        """Run a function in one write transaction, then wake the listeners of its topics.

        Args:
            work: may run more than once; only one run takes effect.
            replayable: whether it may run again although the first run was perhaps committed.

        Raises:
            StateStoreError: the database does not answer, after retries. Unless the call is idempotent, read again
                before assuming anything.
        """
        token = secrets.token_hex(8)
        return await self._tried(lambda replayed: self._write(work, token, replayed), token, replayable=replayable)

    async def _tried(self, call: Callable[[bool], Awaitable[T]], token: str, *, replayable: bool) -> T:
        replayed = False
        if self.is_closed:
            raise StateStoreError(f"the database {self._name} was closed by this process; open it again")

        async def once() -> T:
            nonlocal replayed
            try:
                return await call(replayed)
            except CommitUnknownError:
                replayed = True
                raise

        def again(error: BaseException) -> bool:
            return replayable if isinstance(error, CommitUnknownError) else self._is_passing(error)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(_TRIES) | stop_after_delay(_TRY_FOR_S),
            wait=wait_random_exponential(0.05, max=1.0),
            retry=retry_if_exception(again),
            reraise=True,
        )
        try:
            return await retrying(once)
        except (SQLAlchemyError, CommitUnknownError, OSError) as error:
            raise self.translated(error) from error

    def translated(self, error: BaseException) -> StateStoreError:
        """A driver's error in our words."""
        cause = error.orig if isinstance(error, DBAPIError) else error.__cause__ or error
        what = "may or may not have committed" if isinstance(error, CommitUnknownError) else "did not answer"
        detail = f"{type(cause).__name__}: {cause}".strip()
        return StateStoreError(f"the database {self._name} {what} ({detail}); check that it runs and has space")

    def _is_passing(self, error: BaseException) -> bool:
        """Whether the same transaction may succeed a moment later."""
        if isinstance(error, DBAPIError):
            return error.connection_invalidated or self._is_conflict(error)
        return isinstance(error, OSError)

    @abstractmethod
    def _is_conflict(self, error: DBAPIError) -> bool:
        """Whether the error comes from contention."""

    @abstractmethod
    async def _read(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _write(self, work: Work[T], token: str, replayed: bool) -> T: ...

    @abstractmethod
    async def close(self) -> None:
        """Give back connections. Idempotent."""
