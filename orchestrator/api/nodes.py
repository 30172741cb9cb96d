"""``/v1/nodes``: who is there to run tasks."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from infra.door_problems import ERRORS
from orchestrator.api.tasks import TheDoor
from schemas.record import NodeRecord

router = APIRouter(tags=["system"], responses=ERRORS)


class NodeList(BaseModel):
    """Nodes that gave a sign of life lately."""

    nodes: list[NodeRecord]


@router.get("/nodes", summary="Worker nodes")
async def find(door: TheDoor) -> NodeList:
    """Every node with its slots, how many are busy, and when it was last heard of."""
    return NodeList(nodes=await door.cluster.store.nodes())
