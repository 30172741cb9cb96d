"""What a node works with, bundled once at start."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from infra.identity import new_id
from infra.object_store import ObjectStores
from infra.runtime import Runtime
from infra.settings import Settings
from infra.state_store import StateStore


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one node."""

    settings: Settings
    node_id: str
    store: StateStore
    objects: ObjectStores
    runtime: Runtime
    boot_id: str = field(default_factory=new_id)  # of this start of the node

    @property
    def cluster_id(self) -> str:
        """What tells this cluster's containers from another's on the same machine: its name and its database."""
        name = f"{self.settings.cluster}\0{self.settings.database_url}"
        return hashlib.sha256(name.encode()).hexdigest()[:16]
