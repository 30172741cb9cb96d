"""One call: opens the session's record, wires the bot, runs the pipeline, and closes in the one way there is.

`run_bot` is the same for every transport. The invariant: when it returns, nothing of the call is left running, its
record is written, and the tasks it started go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pipecat.frames.frames import EndWorkerFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner
from pydantic import JsonValue

from infra.cluster import Cluster
from infra.errors import LeaseLost, StateStoreError
from infra.log import get_logger
from schemas.record import TaskRecord
from voice.bot import replies
from voice.bot.announcer import Announcer
from voice.bot.catalog import Vocabulary
from voice.bot.dialog import Dialog
from voice.bot.errands import Errands
from voice.bot.floor import Floor
from voice.bot.intent import Intent, Listeners
from voice.bot.latency import LatencyLog
from voice.bot.mouth import Mouth, Utterance
from voice.bot.narration import Manner
from voice.bot.picture import Message, VoiceState
from voice.bot.pipeline import SpeechParts, build_worker
from voice.bot.rtvi import Feed
from voice.bot.submitter import Submitter
from voice.bot.understanding import Understanding
from voice.session.closer import Closer, Reason
from voice.session.record import SessionBook

log = get_logger(__name__)

#: Seconds between two looks at whether the client is still there; gone twice in a row is gone.
_PEER_S = 1.0
#: Seconds between two cancels of a pipeline that has to end now.
_INSIST_S = 0.2
#: Seconds after which the announcer goes on when the store did not answer.
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class House:
    """What all calls of one process share."""

    cluster: Cluster
    vocabulary: Vocabulary


class _Events(Protocol):
    """What reports events; Pipecat leaves the types open."""

    def add_event_handler(self, event_name: str, handler: Callable[..., Awaitable[None]]) -> None: ...


class _ClientMessage(Protocol):
    """A client-message of RTVI."""

    type: str
    data: object


class _Rtvi(_Events, Protocol):
    """Pipecat's RTVI processor."""

    async def send_server_message(self, data: object) -> None: ...
    async def send_server_response(self, client_msg: _ClientMessage, data: object) -> None: ...
    async def send_error(self, error: str) -> None: ...


class Call:
    """One connection of a session. Create with `open`, then `run` once.

    Args:
        house: what all calls share.
        book: the session's record, opened for this connection.
        speech: the speech services, or None for a call of text alone.
        voice: what the page is told about the voice.
    """

    def __init__(self, house: House, book: SessionBook, speech: SpeechParts | None, voice: VoiceState) -> None:
        self._house, self.book, self._speech = house, book, speech
        self.latency = LatencyLog()
        self.feed = Feed(book.id, book.epoch, lambda: cast("list[JsonValue]", book.transcript), self._send)
        self.feed.voice(voice)
        self.floor = Floor(self.feed.state)
        self.mouth = Mouth(self.floor, self._began, lambda _: self.latency.sounded())
        store, templates = house.cluster.store, house.vocabulary.templates
        self.announcer = Announcer(store, book, self.mouth, self.floor, self._manner, self.feed.task)
        submitter = Submitter(house.cluster, book.id, self.mouth, self.announcer, self.latency)
        self._errands = Errands(house.cluster, book.id, submitter, self.announcer, templates)
        dialog = Dialog(templates, house.vocabulary)
        self._understanding = Understanding(house.vocabulary, lambda: dialog.awaits_answer(_now_s()))
        listeners = Listeners(self._heard, self.checkpoint, self._last_said)
        self.intent = Intent(
            self._understanding, dialog, self.mouth, self._errands, self.floor, listeners, self.latency
        )
        self.closer = Closer(self)
        self._worker: PipelineWorker | None = None
        self._pipeline: asyncio.Task[None] | None = None

    async def run(self, transport: BaseTransport, is_peer_alive: Callable[[], bool] | None = None) -> None:
        """Run until the client is gone or `closer` was told to close.

        Args:
            transport: where the client is.
            is_peer_alive: asked every second, for transports that do not notice a client that vanished.
        """
        worker = self._worker = await build_worker(
            transport, self._understanding, self.intent, self.mouth, self._speech
        )
        self._listen_to(transport, worker)
        runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=True)
        await runner.add_workers(worker)
        if self.closer.reason is not None:
            return
        self._pipeline = asyncio.create_task(runner.run(), name="pipeline")
        helpers = [self._helper(work) for work in (self.feed.pump(), self.announcer.watch(), self._talk())]
        if is_peer_alive is not None:
            helpers.append(self._helper(self._watch_peer(is_peer_alive)))
        try:
            await asyncio.wait({self._pipeline})
        finally:
            await self.closer.close(Reason.GONE)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def stop_intake(self) -> None:
        """Take no more turns."""
        self.intent.shut()

    async def drain(self, timeout_s: float) -> None:
        """Let what is known be said, at most so long."""
        await self.announcer.drain(timeout_s)

    async def end(self) -> None:
        """Let the pipeline play what it holds and end."""
        if self._worker is not None and self._pipeline is not None:
            if self.closer.reason is Reason.TAKEN_OVER:
                await self._rtvi().send_error(replies.GOODBYE)
            await self._worker.queue_frame(EndWorkerFrame())
            await asyncio.wait({self._pipeline})

    async def cancel(self) -> None:
        """Stop the pipeline."""
        if self._worker is not None and self._pipeline is not None:
            await self._worker.cancel()
            await asyncio.wait({self._pipeline})

    async def abandon(self) -> None:
        """Cancel the pipeline's coroutine, each time that it begins to wait again, until it has ended."""
        while self._pipeline is not None and not self._pipeline.done():
            self._pipeline.cancel()
            await asyncio.wait({self._pipeline}, timeout=_INSIST_S)

    def shut_gate(self) -> None:
        """Send nothing to the client any more."""
        self.feed.shut()
        self.mouth.shut()

    async def checkpoint(self) -> None:
        """Write the session's record. Raises LeaseLost, StateStoreError."""
        await self.book.commit({})

    def _manner(self, record: TaskRecord) -> Manner:
        return self._errands.manner(record)

    def _heard(self, text: str) -> None:
        self.book.add_line("user", text)
        self.feed.heard(text)

    def _began(self, utterance: Utterance) -> None:
        self.book.add_line("bot", utterance.text)
        self.feed.said(utterance.text, utterance.task)

    def _last_said(self) -> str:
        return next((str(line["text"]) for line in reversed(self.book.transcript) if line["who"] == "bot"), "")

    def _rtvi(self) -> _Rtvi:
        if self._worker is None:
            raise RuntimeError("the call does not run yet")
        return cast("_Rtvi", self._worker.rtvi)

    async def _send(self, message: Message) -> None:
        await self._rtvi().send_server_message(message)

    def _listen_to(self, transport: BaseTransport, worker: PipelineWorker) -> None:
        rtvi = cast("_Rtvi", worker.rtvi)
        rtvi.add_event_handler("on_client_ready", self._on_ready)
        rtvi.add_event_handler("on_client_message", self._on_message)
        cast("_Events", transport).add_event_handler("on_client_disconnected", self._on_gone)

    async def _on_ready(self, _rtvi: object) -> None:
        self.feed.open()

    async def _on_gone(self, *_: object) -> None:
        self.closer.begin(Reason.GONE)

    async def _on_message(self, _rtvi: object, received: _ClientMessage) -> None:
        match received.type, received.data:
            case "snapshot", _:
                await self._rtvi().send_server_response(received, self.feed.snapshot())
            case "say", {"text": str(text)}:
                self.intent.take_typed(text)
            case _:
                log.debug("client_message_ignored", type=received.type[:40])

    async def _talk(self) -> None:
        while True:
            try:
                await self.announcer.talk()
            except StateStoreError as error:
                log.warning("announcer_waits", error=str(error), consequence="it goes on when the store answers")
                await asyncio.sleep(_RETRY_S)

    async def _watch_peer(self, is_alive: Callable[[], bool]) -> None:
        was_alive, misses = False, 0
        while misses < 2:
            await asyncio.sleep(_PEER_S)
            alive = is_alive()
            was_alive = was_alive or alive
            misses = misses + 1 if was_alive and not alive else 0
        self.closer.begin(Reason.GONE)

    def _helper(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._helper_ended)
        return task

    def _helper_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, LeaseLost):
            self.closer.begin(Reason.TAKEN_OVER)
        elif error is not None:
            log.error("call_broke", error=repr(error), consequence="the call is closed, its tasks go on")
            self.closer.begin(Reason.FAILED)


async def open_call(house: House, session_id: str, speech: SpeechParts | None, voice: VoiceState) -> Call:
    """Open the session's record and wire a call; whoever held the session before loses it.

    Raises:
        StateStoreError: the database does not answer.
    """
    return Call(house, await SessionBook.open(house.cluster.store, session_id), speech, voice)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
