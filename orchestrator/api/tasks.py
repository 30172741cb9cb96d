"""``/v1/tasks``: submit, list, look at, cancel, and read the output."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from infra.door import Door, door_of
from infra.door_problems import ERRORS
from infra.state_store import LogChunk, Submission
from infra.views import TaskSummary, TaskView, summary, view
from orchestrator.api.streams import Streams, streams_of
from schemas.ids import TaskId
from schemas.legacy import parse_json
from schemas.state import TaskState
from schemas.task import TaskDocument

router = APIRouter(tags=["tasks"], responses=ERRORS)

TheDoor = Annotated[Door, Depends(door_of)]

_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": TaskDocument.model_json_schema(by_alias=True)}},
    }
}


class TaskList(BaseModel):
    """Tasks, newest first."""

    tasks: list[TaskSummary]


class CancelRequest(BaseModel):
    """Why a task is stopped."""

    reason: str = "canceled over HTTP"


def answer_submission(response: Response, submission: Submission) -> TaskView:
    """201 with the task's address if it is new, 200 if it was known."""
    response.status_code = 201 if submission.created else 200
    response.headers["Location"] = f"/v1/tasks/{submission.record.id}"
    return view(submission.record)


@router.post(
    "/tasks",
    status_code=201,
    summary="Submit a task document",
    responses={200: {"model": TaskView, "description": "It was known already; nothing new was started"}},
    openapi_extra=_DOCUMENT,
)
async def submit(request: Request, response: Response, door: TheDoor) -> TaskView:
    """Accept a task document in any form that the queue accepts. Idempotent by the document's id."""
    task = parse_json(await request.body())
    return answer_submission(response, await door.cluster.submit(task))


@router.get("/tasks", summary="List tasks, newest first")
async def find(
    door: TheDoor,
    state: Annotated[list[TaskState] | None, Query()] = None,
    workflow: Annotated[str | None, Query(max_length=256)] = None,
    session: Annotated[str | None, Query(max_length=256)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> TaskList:
    """Tasks in one of the states, of one workflow, of one voice session; all conditions hold together."""
    found = await door.cluster.store.find(states=state or (), workflow=workflow, session=session, limit=limit)
    return TaskList(tasks=[summary(record) for record in found])


@router.get("/tasks/{task_id}", summary="One task")
async def load(task_id: TaskId, door: TheDoor) -> TaskView:
    """The task as the database has it, with steps, outputs and failure."""
    return view(await door.cluster.status(task_id))


@router.post("/tasks/{task_id}/cancel", status_code=202, summary="Ask for a stop")
async def cancel(task_id: TaskId, door: TheDoor, body: CancelRequest | None = None) -> TaskView:
    """Honoured while queued, starting, running or committing. Idempotent; too late once it has ended."""
    await door.cluster.status(task_id)
    await door.cluster.cancel(task_id, (body or CancelRequest()).reason)
    return view(await door.cluster.status(task_id))


@router.get("/tasks/{task_id}/log", summary="What the commands print", response_class=StreamingResponse)
async def log(
    task_id: TaskId,
    door: TheDoor,
    streams: Annotated[Streams, Depends(streams_of)],
    follow: Annotated[bool, Query(description="go on until the task ends")] = False,
) -> StreamingResponse:
    """The output of the latest attempts as plain text."""
    await door.cluster.status(task_id)
    streams.admit()
    chunks = streams.bounded(door.cluster.log(task_id, follow=follow))
    return StreamingResponse(_text(chunks), media_type="text/plain; charset=utf-8")


async def _text(chunks: AsyncIterator[LogChunk]) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield chunk.text
