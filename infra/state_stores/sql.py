"""The state store on SQLite and PostgreSQL: one set of transactions, two databases to run them on."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from infra.errors import ConfigurationError
from infra.state_store import Listener, StateStore, Topic
from infra.state_stores.database import Database
from infra.state_stores.intake import Intake
from infra.state_stores.leases import Leasing
from infra.state_stores.reading import Reading
from infra.state_stores.recording import Recording
from infra.state_stores.retention import Forgetting
from infra.state_stores.sessions import Sessions


class SqlStateStore(Intake, Reading, Leasing, Recording, Forgetting, Sessions):
    """See `infra.state_store.StateStore`. Belongs to the event loop that opened it."""

    def listen(self, *topics: Topic) -> AbstractAsyncContextManager[Listener]:
        """Listen for changes made by any process; whatever is committed from the context's start on wakes it."""
        return self._database.wakes.listen(topics)

    async def close(self) -> None:
        """Give back connections. Idempotent."""
        await self._database.close()


async def open_store(url: str) -> StateStore:
    """Open the database, creating or migrating its tables; any number of nodes may do so at the same time.

    Raises:
        ConfigurationError: the URL is malformed, or a newer version of this program made the tables.
        StateStoreError: the database does not answer.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(f"database {url!r}: {error}") from None
    database: Database
    if parsed.get_backend_name() == "sqlite":
        from infra.state_stores.sqlite import open_sqlite

        database = await open_sqlite(parsed.database)
    else:
        from infra.state_stores.postgres import open_postgres

        database = await open_postgres(parsed)
    return SqlStateStore(database)
