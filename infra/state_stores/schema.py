"""Brings a database to the tables of this version, once, however many nodes open it at the same time.

A new database gets the tables as they are now and the version's number; an older one is migrated. Alembic, which is
large, is imported for the latter only. A test holds that both ways lead to the same tables.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert

from infra.errors import ConfigurationError
from infra.state_stores.tables import SCHEMA_VERSION, metadata

MIGRATIONS = Path(__file__).parent / "migrations"
#: Alembic's own table, exactly as it makes it.
_VERSIONS = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def is_current(connection: Connection, exists: str) -> bool:
    """Whether nothing is to be done. A look that keeps nobody waiting; `exists` and `connection` as below."""
    with connection.begin():
        return _version(connection, exists) == SCHEMA_VERSION


def ensure_schema(connection: Connection, exists: str, lock: str | None) -> None:
    """Migrate if the database is not at `SCHEMA_VERSION`. Idempotent; safe to run at the same time elsewhere.

    Args:
        connection: not in a transaction.
        exists: a query with a non-NULL result if there is a version table.
        lock: a statement that keeps other migrations out until the transaction ends, if beginning one does not.

    Raises:
        ConfigurationError: a newer version of this program made the tables.
    """
    if is_current(connection, exists):
        return
    with connection.begin():
        if lock is not None:
            connection.exec_driver_sql(lock)
        version = _version(connection, exists)
        if version is None:
            from infra.state_stores.indexes import join_indexes

            join_indexes()
            metadata.create_all(connection, checkfirst=False)
            _VERSIONS.create(connection)
            connection.execute(insert(_VERSIONS), {"version_num": SCHEMA_VERSION})
        elif version != SCHEMA_VERSION:
            migrate(connection, version)


def _version(connection: Connection, exists: str) -> str | None:
    if connection.exec_driver_sql(exists).scalar() is None:
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def migrate(connection: Connection, version: str | None) -> None:
    """Run the migrations that follow `version` (None: all of them) in the transaction of this connection.

    Raises:
        ConfigurationError: a newer version of this program made the tables.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise ConfigurationError(f"the database is at version {version}, made by a newer sisyphus; upgrade this node")
    command.upgrade(config, "head")
