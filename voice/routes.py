"""The routes of the voice front end: the page, its configuration, and calls over WebRTC and WebSocket.

Calls are admitted exactly; whatever happens to one, its line is given back and its peer is closed. The speech engines
load while the door is open already; where they cannot, the page works by typing and says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import cast

from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pydantic import BaseModel, Field, JsonValue

from infra.door import Door
from infra.errors import StateStoreError
from infra.log import get_logger
from schemas.ids import SessionId, checked_id
from voice.house import VoiceHouse
from voice.session.calls import LinesBusyError, Ticket
from voice.session_routes import install_session_routes
from voice.settings import PAGE

log = get_logger(__name__)

#: WebSocket close codes: try again later, and a policy was broken.
_WS_BUSY, _WS_REFUSED = 1013, 1008
_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sisyphus</title>
<body><h1>The page is not built yet</h1>
<p>Run <code>scripts/run</code>, which builds it, or do it by hand: <code>cd voice/web &amp;&amp; npm ci &amp;&amp;
npm run build</code>. Then load this page again. The HTTP API works already.</p></body></html>"""


class OfferData(BaseModel):
    """What the page sends with its offer."""

    session: SessionId
    token: str | None = None


class Offer(BaseModel):
    """A WebRTC offer, as the page's client sends it."""

    sdp: str = Field(max_length=200_000)
    type: str = Field(pattern="^offer$")
    pc_id: str | None = None
    restart_pc: bool | None = None
    request_data: OfferData | None = None
    requestData: OfferData | None = None  # noqa: N815 - the client's own spelling


class Candidate(BaseModel):
    """One address of the peer."""

    candidate: str = Field(max_length=2_000)
    sdp_mid: str
    sdp_mline_index: int


class Candidates(BaseModel):
    """Addresses that were found after the offer."""

    pc_id: str
    candidates: list[Candidate] = Field(max_length=200)


class VoiceDoor:
    """The routes and the calls behind them."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._peers = SmallWebRTCRequestHandler(ice_servers=None)
        self._house: VoiceHouse | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def house(self) -> VoiceHouse:
        """What all calls share. Raises StateStoreError while the process starts."""
        if self._house is None:
            raise StateStoreError("the voice front end is still starting")
        return self._house

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Load while serving; end every call before the cluster is closed."""
        async with VoiceHouse.open(self._door.cluster) as house:
            self._house = house
            try:
                yield
            finally:
                await house.calls.close()
                if self._running:
                    await asyncio.wait(self._running, timeout=5)
                await self._peers.close()
                self._house = None

    async def config(self) -> dict[str, JsonValue]:
        """What the page needs before a call."""
        templates = self.house.vocabulary.templates.values()
        shown: list[JsonValue] = [
            {"name": t.name, "title": t.title, "sentence": t.sentence, "example": t.example} for t in templates
        ]
        return {
            "version": version("sisyphus-cluster"),
            "templates": shown,
            "voice": self.house.voice().message(),
            "transports": ["webrtc", "websocket"],
        }

    async def offer(self, offer: Offer) -> dict[str, str]:
        """Take a call over WebRTC, or renegotiate one."""
        data = offer.request_data or offer.requestData
        request = SmallWebRTCRequest(offer.sdp, offer.type, offer.pc_id, offer.restart_pc)
        known = offer.pc_id is not None and offer.pc_id in cast("Mapping[str, object]", vars(self._peers)["_pcs_map"])
        ticket = None if known else self._admit(data)
        try:
            answer = await self._peers.handle_web_request(request, lambda peer: self._accept(peer, ticket))
        except BaseException as error:
            if ticket is not None:
                self.house.calls.release(ticket)
            if isinstance(error, ValueError | KeyError | AssertionError):
                raise HTTPException(400, "this is no WebRTC offer that can be answered") from error
            raise
        return answer or {}

    async def candidates(self, found: Candidates) -> dict[str, str]:
        """Take further addresses of a peer."""
        candidates = [IceCandidate(c.candidate, c.sdp_mid, c.sdp_mline_index) for c in found.candidates]
        await self._peers.handle_patch_request(SmallWebRTCPatchRequest(found.pc_id, candidates))
        return {"status": "success"}

    async def socket(self, socket: WebSocket) -> None:
        """Take a call over a WebSocket; returns when it has ended."""
        await socket.accept()
        try:
            ticket = self.house.calls.admit(checked_id(socket.query_params.get("session", "")))
        except ValueError as error:
            await socket.close(_WS_REFUSED, f"session: {error}"[:120])
            return
        except (LinesBusyError, StateStoreError) as error:
            await socket.close(_WS_BUSY, str(error)[:120])
            return
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_end_silence_secs=0,
            add_wav_header=False,
            serializer=ProtobufFrameSerializer(),
        )
        await self._run(FastAPIWebsocketTransport(socket, params), ticket, None)
        with suppress(RuntimeError, WebSocketDisconnect):
            # Closed by the transport or the client already, as a rule.
            await socket.close()

    def _admit(self, data: OfferData | None) -> Ticket:
        if data is None:
            raise HTTPException(422, 'request_data is missing: {"session": "<id>"}')
        try:
            return self.house.calls.admit(data.session)
        except LinesBusyError as error:
            raise HTTPException(503, str(error), headers={"Retry-After": "5"}) from error

    async def _accept(self, peer: SmallWebRTCConnection, ticket: Ticket | None) -> None:
        if ticket is None:
            return
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_end_silence_secs=0)
        transport = SmallWebRTCTransport(webrtc_connection=peer, params=params)
        task = asyncio.create_task(self._run_peer(transport, peer, ticket), name=f"call:{ticket.session}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run_peer(self, transport: SmallWebRTCTransport, peer: SmallWebRTCConnection, ticket: Ticket) -> None:
        try:
            await self._run(transport, ticket, peer)
        finally:
            async with asyncio.timeout(5):
                await peer.disconnect()

    async def _run(self, transport: BaseTransport, ticket: Ticket, peer: SmallWebRTCConnection | None) -> None:
        try:
            await self.house.run_bot(transport, ticket, peer.is_connected if peer is not None else None)
        except Exception as error:  # noqa: BLE001 - the top of a call: it must not take others with it
            log.error("call_failed", session=ticket.session, error=repr(error), consequence="this call has ended")
        finally:
            self.house.calls.release(ticket)


def install_routes(app: FastAPI, door: Door) -> None:
    """Add the voice front end's routes to the shared application."""
    voice = VoiceDoor(door)
    door.during.append(voice.lifespan)
    app.add_api_route("/api/config", voice.config, tags=["voice"], summary="What the page needs before a call")
    app.add_api_route("/api/offer", voice.offer, methods=["POST"], tags=["voice"], summary="Start a WebRTC call")
    app.add_api_route("/api/offer", voice.candidates, methods=["PATCH"], tags=["voice"], summary="Trickle ICE")
    app.add_api_websocket_route("/api/ws", voice.socket)
    install_session_routes(app, lambda: voice.house)
    _install_page(app, door)


def _install_page(app: FastAPI, door: Door) -> None:
    async def page(_request: Request) -> Response:
        index = PAGE / "index.html"
        if not await asyncio.to_thread(index.is_file):
            return HTMLResponse(_NOT_BUILT, status_code=503)
        # The page names its assets by their content; only itself must be asked for anew.
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    async def file(request: Request) -> Response:
        return FileResponse(PAGE / request.url.path.lstrip("/"))

    app.add_api_route("/", page, include_in_schema=False)
    app.mount("/assets", StaticFiles(directory=PAGE / "assets", check_dir=False))
    for path in sorted(PAGE.glob("*")) if PAGE.is_dir() else []:
        if path.is_file() and path.name != "index.html":
            door.public.add(f"/{path.name}")
            app.add_api_route(f"/{path.name}", file, include_in_schema=False)
