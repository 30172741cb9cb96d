"""Tasks, their attempts, TODO lists, outputs, events and logs; nodes, dead letters, tombstones and sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _tasks()
    _parts_of_a_task()
    _what_happens_to_a_task()
    _around_tasks()


def _task_id() -> sa.Column[str]:
    return sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("session", sa.Text),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("nodes_lost", sa.Integer, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("due_at", sa.Double),
        sa.Column("percent", sa.Double),
        sa.Column("message", sa.Text),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("committed", sa.Boolean, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("log_number", sa.Integer, nullable=False),
        sa.Column("log_chars", sa.Integer, nullable=False),
        sa.Column("write_token", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
    )
    _index("tasks_claimable", [sa.text("priority DESC"), "created_at", "id"], "due_at IS NOT NULL")
    _index("tasks_leased", ["due_at"], "lease_owner IS NOT NULL")
    _index("tasks_open_digest", ["digest"], "due_at IS NOT NULL")
    op.create_index("tasks_created", "tasks", ["created_at", "id"])
    op.create_index("tasks_session", "tasks", ["session", "created_at"])
    op.create_index("tasks_workflow", "tasks", ["workflow", "created_at"])


def _index(name: str, columns: list[str | sa.TextClause], where: str) -> None:
    op.create_index(name, "tasks", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _parts_of_a_task() -> None:
    op.create_table("documents", _task_id(), sa.Column("document", sa.Text, nullable=False))
    op.create_table(
        "attempts",
        _task_id(),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("outcome", sa.Text),
        sa.Column("failure", sa.Text),
    )
    op.create_table(
        "todos",
        _task_id(),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("durable", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    op.create_table(
        "outputs",
        _task_id(),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("remote", sa.Text, nullable=False),
        sa.Column("staged", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("line", sa.Text),
        sa.Column("log", sa.Boolean, nullable=False),
    )


def _what_happens_to_a_task() -> None:
    op.create_table(
        "events",
        _task_id(),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "log_chunks",
        _task_id(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )


def _around_tasks() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("busy", sa.Integer, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.Column("runtime", sa.Text, nullable=False),
        sa.Column("ttl_s", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "dead_letters",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("task_id", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("spoken", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("saved_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    for table in (
        *("sessions", "tombstones", "dead_letters", "nodes", "log_chunks", "events"),
        *("outputs", "todos", "attempts", "documents", "tasks"),
    ):
        op.drop_table(table)
