"""The routes of a session without a call: its snapshot, the cancel button and the output files of its tasks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse

from infra.door_problems import ERRORS
from schemas.ids import SessionId, TaskId
from voice.house import VoiceHouse
from voice.session import visit

#: What is true now is not kept by anybody on the way.
_FRESH = {"Cache-Control": "no-store"}
_PIECE_BYTES = 262_144


class SessionDoor:
    """The routes below ``/api/sessions``; the door's guard has checked who may come in."""

    def __init__(self, house: Callable[[], VoiceHouse]) -> None:
        self._house = house

    async def look(self, session: SessionId) -> JSONResponse:
        """Tasks and conversation, as a call's own snapshot has them."""
        house = self._house()
        return JSONResponse(await visit.look(house.cluster, house.calls, session, house.voice()), headers=_FRESH)

    async def cancel(self, session: SessionId, task: TaskId) -> dict[str, str]:
        """Ask for a stop; whether it came in time, the next snapshot says."""
        await visit.cancel(self._house().cluster, session, task)
        return {"status": "accepted"}

    async def output(self, session: SessionId, task: TaskId, number: int) -> StreamingResponse:
        """One output file, to be saved and never to be shown as a part of the page."""
        name, copy = await visit.fetch_output(self._house().cluster, session, task, number)
        headers = {
            **_FRESH,
            "Content-Length": str(os.fstat(copy.fileno()).st_size),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        }
        return StreamingResponse(_pieces(copy), media_type="application/octet-stream", headers=headers)


async def _pieces(copy: BinaryIO) -> AsyncIterator[bytes]:
    with copy:
        while piece := await asyncio.to_thread(copy.read, _PIECE_BYTES):
            yield piece


def install_session_routes(app: FastAPI, house: Callable[[], VoiceHouse]) -> None:
    """Add the routes to the shared application; `house` raises StateStoreError while the process starts."""
    door = SessionDoor(house)
    path = "/api/sessions/{session}"
    app.add_api_route(path, door.look, tags=["voice"], summary="A session without a call", responses=ERRORS)
    app.add_api_route(
        f"{path}/tasks/{{task}}/cancel",
        door.cancel,
        methods=["POST"],
        status_code=202,
        tags=["voice"],
        summary="Stop one of the session's tasks",
        responses=ERRORS,
    )
    app.add_api_route(
        f"{path}/tasks/{{task}}/outputs/{{number}}",
        door.output,
        tags=["voice"],
        summary="Download an output",
        responses=ERRORS,
        response_class=StreamingResponse,
    )
