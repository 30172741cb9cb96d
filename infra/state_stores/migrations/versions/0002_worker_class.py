"""Tasks and nodes belong to a worker class. What was there before is of the class of those that name none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BY_URGENCY = [sa.text("priority DESC"), "created_at", "id"]
_OPEN = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    for table in ("tasks", "nodes"):
        op.add_column(table, sa.Column("queue", sa.Text, nullable=False, server_default="sisyphus"))
    _index(["queue", *_BY_URGENCY])


def downgrade() -> None:
    _index(_BY_URGENCY)
    for table in ("tasks", "nodes"):
        op.drop_column(table, "queue")


def _index(columns: list[str | sa.TextClause]) -> None:
    op.drop_index("tasks_claimable", "tasks")
    op.create_index("tasks_claimable", "tasks", columns, sqlite_where=_OPEN, postgresql_where=_OPEN)
