"""The tables, the types of their columns, and the database's clock.

Every stored time is seconds since 1970 (UTC) by the database's clock, as a double. A task's bulky document has a table
of its own, so that the row which is locked and rewritten at every step stays small. `tasks.due_at` answers one
question for every state: from when on may a node claim this? (held or waiting: the due time; leased: the end of the
lease; terminal: never, NULL.) `tasks.lease_owner` is set exactly in the leased states.
"""

from __future__ import annotations

import json

from pydantic import JsonValue
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeEngine

from schemas.ids import DEFAULT_QUEUE

#: The migration that these tables correspond to; a database at another one is migrated when it is opened.
SCHEMA_VERSION = "0003"

metadata = MetaData()


class DatabaseNow(FunctionElement[float]):
    """The database's clock at the moment the statement runs, in seconds since 1970."""

    type: TypeEngine[float] = Double()
    inherit_cache = True


@compiles(DatabaseNow, "sqlite")
def _sqlite_now(_element: DatabaseNow, _compiler: object, **_: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(DatabaseNow, "postgresql")
def _postgres_now(_element: DatabaseNow, _compiler: object, **_: object) -> str:
    # Not now(), which stands still for the length of a transaction.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


NOW = DatabaseNow()


class CleanText(TypeDecorator[str]):
    """Text from anywhere. NUL, which PostgreSQL refuses, and lone surrogates, which nothing encodes, are replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make any string storable."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Json(TypeDecorator[JsonValue]):
    """JSON as ASCII text, which holds NUL and any Unicode in every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        """Write JSON; None is NULL."""
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> JsonValue:
        """Read JSON; NULL is None."""
        return None if value is None else json.loads(value)


def _task_id(*, primary: bool = True) -> Column[str]:
    return Column("task_id", CleanText, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=primary, nullable=False)


def _queue() -> Column[str]:
    # The default is for nodes of the version before, which still write while a cluster is being upgraded.
    return Column("queue", Text, nullable=False, server_default=DEFAULT_QUEUE)


tasks = Table(
    "tasks",
    metadata,
    Column("id", CleanText, primary_key=True),
    Column("digest", Text),
    Column("name", CleanText, nullable=False),
    Column("workflow", CleanText, nullable=False),
    Column("session", CleanText),
    Column("priority", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("nodes_lost", Integer, nullable=False),
    Column("lease_owner", Text),
    Column("due_at", Double),
    Column("percent", Double),
    Column("message", CleanText),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False),
    Column("cancel_reason", CleanText),
    Column("committed", Boolean(create_constraint=False), nullable=False),
    Column("failure", Json),
    Column("log_number", Integer, nullable=False),
    Column("log_chars", Integer, nullable=False),
    Column("write_token", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    _queue(),
)
documents = Table("documents", metadata, _task_id(), Column("document", Text, nullable=False))

attempts = Table(
    "attempts",
    metadata,
    _task_id(),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("node", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("outcome", Text),
    Column("failure", Json),
)

todos = Table(
    "todos",
    metadata,
    _task_id(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("index", Integer, nullable=False),
    Column("title", CleanText, nullable=False),
    Column("state", Text, nullable=False),
    Column("durable", Boolean(create_constraint=False), nullable=False),
    Column("epoch", Integer, nullable=False),
)

outputs = Table(
    "outputs",
    metadata,
    _task_id(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("remote", Text, nullable=False),
    Column("staged", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("line", CleanText),
    Column("log", Boolean(create_constraint=False), nullable=False),
)

events = Table(
    "events",
    metadata,
    _task_id(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", Json, nullable=False),
    Column("at", Double, nullable=False),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    _task_id(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("text", CleanText, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", CleanText, primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("busy", Integer, nullable=False),
    Column("draining", Boolean(create_constraint=False), nullable=False),
    Column("runtime", CleanText, nullable=False),
    Column("ttl_s", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    _queue(),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("task_id", CleanText),
    Column("source", CleanText, nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("body", CleanText, nullable=False),
    Column("at", Double, nullable=False),
)

#: Cancels that came before their task.
tombstones = Table(
    "tombstones",
    metadata,
    Column("task_id", CleanText, primary_key=True),
    Column("reason", CleanText, nullable=False),
    Column("at", Double, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", CleanText, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("spoken", Json, nullable=False),
    Column("data", Json, nullable=False),
    Column("saved_at", Double, nullable=False),
)
