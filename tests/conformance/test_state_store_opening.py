"""Opening and migrating: any number of nodes at once, once only, and a clear sentence when it cannot be done."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection

from infra.errors import ConfigurationError, StateStoreError
from infra.state_store import open_state_store
from infra.state_stores.schema import migrate
from infra.state_stores.tables import SCHEMA_VERSION, metadata
from tests.conformance.state_store_tools import LIMIT, TERMS, task

ROOT = Path(__file__).parents[2]


_OPEN = """
import asyncio, sys
from infra.state_store import open_state_store
from tests.conformance.state_store_tools import task

async def main():
    store = await open_state_store(sys.argv[1])
    await store.submit(task(), sys.argv[2])
    await store.close()
    print("alembic" in sys.modules)

asyncio.run(main())
"""


async def _open_elsewhere(url: str, task_id: str) -> str:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OPEN, url, task_id, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    return out.decode().strip()


@pytest.mark.slow
async def test_many_processes_open_a_new_database_at_once(empty):
    """One of them makes the tables, all of them work; Alembic, which is large, is not even loaded."""
    loaded = await asyncio.gather(*(_open_elsewhere(empty.url, f"t{n}") for n in range(3)))
    assert [*loaded, await _open_elsewhere(empty.url, "late")] == ["False"] * 4
    assert await empty.execute("SELECT version_num FROM alembic_version") == [(SCHEMA_VERSION,)]
    store = await open_state_store(empty.url)
    assert len(await store.find()) == 4
    await store.close()


async def test_stores_of_one_process_open_a_new_database_at_once(empty):
    """The same within one event loop."""
    stores = await asyncio.gather(*(open_state_store(empty.url) for _ in range(8)))
    await stores[0].submit(task(), "t1")
    assert await stores[7].load("t1") is not None
    for store in stores:
        await store.close()


_SHAPE = {
    # Not the text of CREATE TABLE: a column that was added stands behind the constraints in it.
    "sqlite+aiosqlite": """
        SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL UNION ALL
        SELECT m.name, c.name || ' ' || c.type || c."notnull" || coalesce(c.dflt_value, '') || c.pk
        FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' UNION ALL
        SELECT m.name, f."from" || f."table" || f."to" || f.on_delete
        FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' ORDER BY 1, 2
        """,
    "postgresql+asyncpg": """
        SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = 'public' UNION ALL
        SELECT conname, conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid > 0 UNION ALL
        SELECT table_name, column_name || data_type || is_nullable || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY name, sql
        """,
}


async def test_migrations_lead_to_the_same_tables_as_a_new_database(database, empty):
    """Column by column and index by index; Alembic finds no difference to the code either."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    def work(connection: Connection) -> list[object]:
        migrate(connection, None)
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    if database.scheme.startswith("sqlite"):
        path = Path(empty.url.partition("://")[2][1:])
        path.parent.mkdir()
        with create_engine(f"sqlite:///{path}").begin() as connection:
            differences = work(connection)
    else:
        async with create_async_engine(empty.url).begin() as connection:
            differences = await connection.run_sync(work)
    assert differences == []
    made, migrated = [await x.execute(_SHAPE[database.scheme]) for x in (database, empty)]
    assert [" ".join(map(str, row)).split() for row in migrated] == [" ".join(map(str, row)).split() for row in made]
    assert len(made) > 15
    again = await open_state_store(empty.url)
    assert (await again.submit(task(), "t1")).created
    await again.close()


async def test_a_newer_database_is_refused(database):
    """An old node must not write into tables that it does not know."""
    await database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer"):
        await open_state_store(database.url)


async def test_data_survives_reopening(database):
    """Closing is idempotent; what was written is there for the next process."""
    store = await open_state_store(database.url)
    record = (await store.submit(task(), "t1")).record
    await store.close()
    await store.close()
    with pytest.raises(StateStoreError, match="closed"):
        await store.load("t1")
    again = await open_state_store(database.url)
    assert await again.load("t1") == record
    await again.close()


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "sqlite+aiosqlite:/\x00[", "x:y"]
)
async def test_a_url_that_names_no_database_is_a_wrong_setting(url):
    """Nodes cannot meet in memory; the message says what to write instead."""
    with pytest.raises(ConfigurationError):
        await open_state_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+aiosqlite:////dev/null/store.db",
        "postgresql+asyncpg://nobody:hush@127.0.0.1:1/none",
    ],
)
async def test_a_database_that_cannot_be_reached_is_a_state_store_error(url):
    """After its retries; the password is not shown."""
    with pytest.raises(StateStoreError) as caught:
        await open_state_store(url)
    assert "hush" not in str(caught.value)


async def test_a_file_that_is_no_database_is_a_state_store_error(tmp_path):
    """It is left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but somebody's notes\n" * 100)
    with pytest.raises(StateStoreError, match="not a database"):
        await open_state_store(f"sqlite+aiosqlite:///{path}")
    assert path.read_text().startswith("not a database")


@pytest.mark.parametrize("scheme", ["sqlite+aiosqlite"], indirect=True)
async def test_a_locked_database_is_waited_for(store, database):
    """Another process in a long transaction delays a write but does not fail it."""
    other = sqlite3.connect(database.url.partition("://")[2][1:], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    submission = asyncio.create_task(store.submit(task(), "t1"))
    assert await store.load("t1") is None  # readers wait for nobody
    done, _ = await asyncio.wait({submission}, timeout=0.3)
    assert not done
    other.execute("COMMIT")
    assert (await submission).created
    other.close()


@pytest.mark.parametrize("scheme", ["sqlite+aiosqlite"], indirect=True)
async def test_a_busy_database_is_opened_and_read(stores, database):
    """Whoever only looks does not wait for the writer: one in a long transaction keeps no `status` out."""
    await (await stores.open()).submit(task(), "t1")
    other = sqlite3.connect(database.url.partition("://")[2][1:], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = await asyncio.wait_for(stores.open(), 3)
    assert (await store.load("t1")).id == "t1"
    other.close()


@pytest.mark.parametrize("scheme", ["sqlite+aiosqlite"], indirect=True)
@pytest.mark.parametrize("half", ["_writer", "_reader"])
async def test_a_commit_that_fails_leaves_the_connection_usable(store, monkeypatch, half):
    """A COMMIT refused by a lock or a full disk is tried again; one that never succeeds fails its own call alone."""
    dialect = getattr(store._database, half)._sql.engine.dialect
    call = (lambda: store.submit(task(), "t1")) if half == "_writer" else (lambda: store.load("t1"))
    commit, refusals = dialect.do_commit, [1]

    def refuse(connection):
        if refusals[0] > 0:
            refusals[0] -= 1
            raise sqlite3.OperationalError("database is locked")
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", refuse)
    await call()
    refusals[0] = 100
    with pytest.raises(StateStoreError, match="database is locked"):
        await call()
    refusals[0] = 0
    await call()
    await store.submit(task(), "t2")
    assert {record.id for record in await store.find()} == {"t2", *(["t1"] if half == "_writer" else [])}


@pytest.mark.docker
@pytest.mark.parametrize("scheme", ["postgresql+asyncpg"], indirect=True)
async def test_a_server_that_drops_connections_is_met_again(store, database):
    """Calls on connections that the server closed are tried again on new ones."""
    await store.submit(task(), "t1")
    for n in range(2, 5):
        await database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await store.submit(task(), f"t{n}")
    assert len(await store.find()) == 4


@pytest.mark.parametrize("scheme", ["sqlite+aiosqlite"], indirect=True)
async def test_a_canceled_caller_leaves_no_claim(store, database):
    """A node that stops while it waits for the database does not hold a lease that nobody runs."""
    await store.submit(task(), "t1")
    other = sqlite3.connect(database.url.partition("://")[2][1:], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    claiming = asyncio.create_task(store.claim("node-1", 1, TERMS, LIMIT))
    await asyncio.wait({claiming}, timeout=0.2)
    claiming.cancel()
    await asyncio.wait({claiming})
    assert claiming.cancelled()
    other.execute("COMMIT")
    other.close()
    found = await store.claim_task("node-2", "t1", TERMS)
    assert found is not None
    assert found.lease.epoch == 1


def test_an_unclosed_store_does_not_keep_the_process_alive(tmp_path):
    """Its threads are daemons: a command that crashes ends."""
    code = (
        "import asyncio, sys; from infra.state_store import open_state_store\n"
        "asyncio.run(open_state_store(sys.argv[1]))"
    )
    url = f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", code, url], cwd=ROOT, timeout=60, check=True, env=environment)
