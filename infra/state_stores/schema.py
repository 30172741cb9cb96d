"""Brings a database to the tables of this version, once, however many nodes open it at the same time.

The version is read with plain SQL; Alembic is imported only if there is something to do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from infra.errors import ConfigurationError
from infra.state_stores.tables import SCHEMA_VERSION

MIGRATIONS = Path(__file__).parent / "migrations"


def ensure_schema(connection: Connection, exists: str, lock: str | None) -> None:
    """Migrate if the database is not at `SCHEMA_VERSION`. Idempotent; safe to run at the same time elsewhere.

    Args:
        connection: not in a transaction.
        exists: a query with a non-NULL result if there is a version table.
        lock: a statement that keeps other migrations out until the transaction ends, if beginning one does not.

    Raises:
        ConfigurationError: a newer version of this program made the tables.
    """
    with connection.begin():
        if _version(connection, exists) == SCHEMA_VERSION:
            return
    with connection.begin():
        if lock is not None:
            connection.exec_driver_sql(lock)
        version = _version(connection, exists)
        if version != SCHEMA_VERSION:
            _migrate(connection, version)


def _version(connection: Connection, exists: str) -> str | None:
    if connection.exec_driver_sql(exists).scalar() is None:
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _migrate(connection: Connection, version: str | None) -> None:
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
