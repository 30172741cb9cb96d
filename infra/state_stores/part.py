"""What the doors of the store have in common."""

from __future__ import annotations

from infra.state_stores.database import Database
from infra.state_stores.rows import DocumentCache


class StorePart:
    """Some of the methods of the store, over its one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._documents = DocumentCache()
