"""Leases: who may write a task's state, and until when. The epoch is the fencing token.

A lease is granted, renewed and judged by the database's clock alone; the holder fences itself on its own monotonic
clock well before the database lets another node take over (Gray & Cheriton, "Leases", SOSP 1989; fencing tokens as
in Kleppmann, "How to do distributed locking", 2016).
"""

from __future__ import annotations

from pydantic import Field

from schemas.document import Document
from schemas.ids import NodeId, TaskId


class LeaseTerms(Document):
    """The numbers every node agrees on, in seconds: renew < fence < ttl, with room for a pause between each."""

    ttl_s: float = Field(default=30.0, description="seconds without renewal after which another node takes over")
    renew_s: float = Field(default=5.0, description="seconds between two renewals")
    fence_s: float = Field(default=20.0, description="seconds without renewal after which a node kills its own tasks")

    def model_post_init(self, _context: object) -> None:
        """Refuse terms under which a paused node could outlive its lease."""
        if not 0 < self.renew_s < self.fence_s < self.ttl_s:
            raise ValueError("lease terms need renew_s < fence_s < ttl_s")


class Lease(Document):
    """The right of one node to write one task's state; `epoch` rises by one at every claim."""

    task_id: TaskId
    epoch: int
    node_id: NodeId
