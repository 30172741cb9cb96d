"""``/v1/tasks/{id}/events``: what happens to a task, as server-sent events or as a JSON list.

The id of an event is its `seq`, so a client that reconnects with ``Last-Event-ID`` misses nothing and repeats nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from infra.cluster import Cluster
from infra.door_problems import ERRORS
from orchestrator.api.streams import Streams, streams_of
from orchestrator.api.tasks import TheDoor
from schemas.event import Event
from schemas.ids import TaskId

router = APIRouter(tags=["tasks"], responses=ERRORS)

#: Seconds between heartbeat comments: below the idle limit of common proxies.
_HEARTBEAT_S = 15
#: Seconds that a client may leave one event unread before its stream is dropped.
_SEND_TIMEOUT_S = 30
#: Most events in one JSON answer; `after` fetches the next ones.
_PAGE = 500


@router.get(
    "/tasks/{task_id}/events",
    summary="Follow a task",
    response_model=None,
    responses={
        200: {"content": {"text/event-stream": {}, "application/json": {}}, "description": "Events in order of seq"},
        204: {"description": "There will be no further event: stop reconnecting"},
    },
)
async def events(
    task_id: TaskId,
    door: TheDoor,
    streams: Annotated[Streams, Depends(streams_of)],
    after: Annotated[int, Query(ge=0, description="only events with a greater seq")] = 0,
    last_event_id: Annotated[str, Header()] = "",
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Ends after the event that ended the task. With ``Accept: application/json``, a list of what there is so far."""
    after = max(after, int(last_event_id)) if last_event_id.isdecimal() else after
    record = await door.cluster.status(task_id)
    if "application/json" in accept and "text/event-stream" not in accept:
        page = await door.cluster.store.events(task_id, after, _PAGE)
        return JSONResponse({"events": [event.model_dump(mode="json") for event in page]})
    if record.is_terminal and after >= record.seq:
        # 204 is the one answer that makes a browser's EventSource stop reconnecting.
        return Response(status_code=204)
    streams.admit()
    return EventSourceResponse(
        _stream(streams.bounded(_follow(door.cluster, task_id, after))),
        ping=_HEARTBEAT_S,
        send_timeout=_SEND_TIMEOUT_S,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _follow(cluster: Cluster, task_id: str, after: int) -> AsyncIterator[Event]:
    return cluster.follow(task_id, after)


async def _stream(source: AsyncIterator[Event]) -> AsyncIterator[ServerSentEvent]:
    async for event in source:
        yield ServerSentEvent(id=str(event.seq), event=event.type.value, data=event.model_dump_json())
