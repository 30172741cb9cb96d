"""The routes of a session without a call: its snapshot, the cancel button and the output files of its tasks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack
from typing import BinaryIO
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from infra.door_problems import ERRORS
from infra.errors import TransientError
from schemas.ids import SessionId, TaskId
from voice.house import VoiceHouse
from voice.session import visit

#: What is true now is not kept by anybody on the way.
_FRESH = {"Cache-Control": "no-store"}
_PIECE_BYTES = 262_144
#: Outputs that may be saved at a time. Each is a copy on this server's disk, of gigabytes perhaps, until it is saved.
MAX_COPIES = 4


class SessionDoor:
    """The routes below ``/api/sessions``; the door's guard has checked who may come in."""

    def __init__(self, house: Callable[[], VoiceHouse]) -> None:
        self._house = house
        self._places = asyncio.Semaphore(MAX_COPIES)

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
        with ExitStack() as held:
            held.callback(await self._place())
            name, copy = await visit.fetch_output(self._house().cluster, session, task, number)
            headers = {
                **_FRESH,
                "Content-Length": str(os.fstat(held.enter_context(copy).fileno()).st_size),
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            }
            return _CopyResponse(copy, headers, held.pop_all())

    async def _place(self) -> Callable[[], None]:
        """Take a place for a copy at once, or be refused; what is returned gives it back.

        Raises:
            CopiesBusyError: all are taken.
        """
        if self._places.locked():
            raise CopiesBusyError
        await self._places.acquire()
        return self._places.release


class CopiesBusyError(TransientError):
    """As many outputs are being saved as may be at a time."""

    def __init__(self) -> None:
        super().__init__(f"{MAX_COPIES} files are being saved just now. Please try again in a moment.")


class _CopyResponse(StreamingResponse):
    """A file as a response; what is held for it is given back however the response ends, even before its beginning."""

    def __init__(self, copy: BinaryIO, headers: Mapping[str, str], held: ExitStack) -> None:
        super().__init__(_pieces(copy), media_type="application/octet-stream", headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


async def _pieces(copy: BinaryIO) -> AsyncIterator[bytes]:
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
