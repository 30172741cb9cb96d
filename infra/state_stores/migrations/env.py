"""Alembic's entry: runs the migrations on the connection, and inside the transaction, that the store hands over."""

from __future__ import annotations

from alembic import context

from infra.state_stores.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
