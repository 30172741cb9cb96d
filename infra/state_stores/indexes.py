"""Indexes over tasks and dead letters, apart from the tables: only a new database needs them.

Naming PostgreSQL's kind of index loads the whole package of its dialect.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Index

from infra.state_stores.tables import dead_letters, tasks


@cache
def join_indexes() -> None:
    """Join the indexes to their tables, once in a process."""
    Index(
        "tasks_claimable",
        tasks.c.queue,
        tasks.c.priority.desc(),
        tasks.c.created_at,
        tasks.c.id,
        sqlite_where=tasks.c.due_at.is_not(None),
        postgresql_where=tasks.c.due_at.is_not(None),
    )
    Index(
        "tasks_leased",
        tasks.c.due_at,
        sqlite_where=tasks.c.lease_owner.is_not(None),
        postgresql_where=tasks.c.lease_owner.is_not(None),
    )
    Index(
        "tasks_open_digest",
        tasks.c.digest,
        sqlite_where=tasks.c.due_at.is_not(None),
        postgresql_where=tasks.c.due_at.is_not(None),
    )
    Index(
        "tasks_finished",
        tasks.c.finished_at,
        sqlite_where=tasks.c.finished_at.is_not(None),
        postgresql_where=tasks.c.finished_at.is_not(None),
    )
    Index("tasks_created", tasks.c.created_at, tasks.c.id)
    Index("tasks_session", tasks.c.session, tasks.c.created_at)
    Index("tasks_workflow", tasks.c.workflow, tasks.c.created_at)
    Index("dead_letters_at", dead_letters.c.at)
