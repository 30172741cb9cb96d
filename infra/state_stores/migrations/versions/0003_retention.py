"""What ended long ago is found by its time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ENDED = sa.text("finished_at IS NOT NULL")


def upgrade() -> None:
    op.create_index("tasks_finished", "tasks", ["finished_at"], sqlite_where=_ENDED, postgresql_where=_ENDED)
    op.create_index("dead_letters_at", "dead_letters", ["at"])


def downgrade() -> None:
    op.drop_index("dead_letters_at", "dead_letters")
    op.drop_index("tasks_finished", "tasks")
