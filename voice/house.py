"""What all calls of one process share, and the one function that runs a call: `run_bot`.

Loads the templates and the model of requests first, the speech engines beside; without these calls are text alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from pipecat.transports.base_transport import BaseTransport

from infra.cluster import Cluster
from infra.errors import ConfigurationError, SisyphusError
from infra.log import get_logger
from infra.template_catalog import load_catalog
from voice.bot.catalog import Vocabulary
from voice.bot.picture import VoiceState
from voice.bot.pipeline import SpeechParts
from voice.services.errors import SpeechError
from voice.services.speech import Speech
from voice.session.calls import Calls, Ticket
from voice.session.main import Call, House, open_call
from voice.settings import SPEECH_WAIT_S, speech_settings

log = get_logger(__name__)

_LOADING = "the voice is being loaded, which takes a few seconds"


class VoiceHouse:
    """The shared parts. Open with `open`."""

    def __init__(self, cluster: Cluster, vocabulary: Vocabulary) -> None:
        self.cluster, self.vocabulary = cluster, vocabulary
        self.calls = Calls(cluster.settings.sessions)
        self._speech: Speech | None = None
        self._problem = _LOADING
        self._settled = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster) -> AsyncGenerator[VoiceHouse]:
        """Read templates and names, begin to load the engines; everything is closed at the end.

        Raises:
            DocumentError: a template file is wrong.
        """
        catalog = await asyncio.to_thread(load_catalog, *cluster.settings.templates)
        house = cls(cluster, await asyncio.to_thread(Vocabulary, cluster, catalog))
        with suppress(SisyphusError):
            await house.vocabulary.refresh()
        work = (house.vocabulary.follow(), house._load(), house.calls.return_memory())
        helpers = [asyncio.create_task(one) for one in work]
        try:
            yield house
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            if house._speech is not None:
                await house._speech.close()

    def voice(self) -> VoiceState:
        """Whether calls can hear and speak now, and if not, why."""
        if self._speech is None:
            return VoiceState(ready=False, reason=self._problem)
        status = self._speech.status()
        return VoiceState(status.ready, status.reason or None)

    async def settled(self, timeout_s: float) -> VoiceState:
        """The state of the voice once loading has ended one way or the other, or after `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        return self.voice()

    async def run_bot(
        self, transport: BaseTransport, ticket: Ticket, is_peer_alive: Callable[[], bool] | None = None
    ) -> None:
        """Run one call over any transport, until its client is gone or it was closed.

        Raises:
            StateStoreError: the session's record cannot be opened.
        """
        call = await self.prepare(ticket)
        async with self.calls.running(ticket, call):
            await call.run(transport, is_peer_alive)

    async def prepare(self, ticket: Ticket) -> Call:
        """Open the session and wire its call."""
        voice = await self.settled(SPEECH_WAIT_S)
        speech = None
        if self._speech is not None and voice.ready:
            stt = self._speech.make_stt(self.vocabulary.hints)
            speech = SpeechParts(stt, self._speech.make_tts(), self._speech.turn_model)
        return await open_call(House(self.cluster, self.vocabulary), ticket.session, speech, voice)

    async def _load(self) -> None:
        try:
            self._speech = await Speech.open(speech_settings(self.cluster.settings))
            log.info("voice_ready")
        except (SpeechError, ConfigurationError) as error:
            self._problem = str(error)
            log.warning("voice_not_ready", reason=self._problem, consequence="calls work by typing")
        finally:
            self._settled.set()
