"""A caller without a browser: speaks RTVI and sound over the WebSocket, paced like a microphone."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import websockets
from pipecat.frames.protobufs import frames_pb2

IN_HZ, OUT_HZ, TICK_S = 16_000, 24_000, 0.02
_TICK_BYTES = int(IN_HZ * TICK_S) * 2
#: A sample louder than this is sound.
LOUD = 300

Frame: Any = getattr(frames_pb2, "Frame")  # noqa: B009 - generated, so its members are unknown to type checkers


class CallClient:
    """One connection. `messages` holds (seconds, message) of everything the server said; `heard` the bot's sound."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self.started_s = time.monotonic()
        self.messages: list[tuple[float, dict[str, Any]]] = []
        self.sound: list[tuple[float, bytes]] = []
        self.closed = asyncio.Event()
        self._lost: websockets.ConnectionClosed | None = None
        self._news = asyncio.Condition()
        self._microphone: asyncio.Queue[bytes] = asyncio.Queue()
        self.speech_ended_s = 0.0

    def now_s(self) -> float:
        return time.monotonic() - self.started_s

    async def ready(self) -> None:
        """Say hello and wait for the bot."""
        about = {"version": "2.1.0", "about": {"library": "test"}}
        await self.send("client-ready", about)
        await self.wait(lambda m: m["type"] == "bot-ready")

    async def send(self, kind: str, data: dict[str, Any]) -> str:
        message_id = uuid.uuid4().hex[:8]
        message = {"label": "rtvi-ai", "type": kind, "id": message_id, "data": data}
        frame = Frame()
        frame.message.data = json.dumps(message)
        await self._socket.send(frame.SerializeToString())
        return message_id

    async def type(self, text: str) -> None:
        """What the page sends when somebody types."""
        await self.send("client-message", {"t": "say", "d": {"text": text}})

    async def snapshot(self) -> dict[str, Any]:
        message_id = await self.send("client-message", {"t": "snapshot", "d": {}})
        answer = await self.wait(lambda m: m["type"] == "server-response" and m["id"] == message_id)
        return answer["data"]["d"]

    async def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 30.0) -> dict[str, Any]:
        """The first message, past or to come, that is wanted."""
        seen = 0
        async with asyncio.timeout(timeout_s), self._news:
            while True:
                for _, message in self.messages[seen:]:
                    if wanted(message):
                        return message
                seen = len(self.messages)
                if self._lost is not None:
                    raise self._lost
                await self._news.wait()

    async def event(self, timeout_s: float = 30.0, **fields: Any) -> dict[str, Any]:
        """The first of our own messages with these fields."""

        def wanted(message: dict[str, Any]) -> bool:
            data = message.get("data", {})
            return message["type"] == "server-message" and all(data.get(k) == v for k, v in fields.items())

        return (await self.wait(wanted, timeout_s))["data"]

    async def said(self, part: str, timeout_s: float = 30.0, after_s: float = 0.0) -> float:
        """Wait until the bot says something that holds `part`; when it did."""

        def wanted(message: dict[str, Any]) -> bool:
            data = message.get("data", {})
            is_say = message["type"] == "server-message" and data.get("kind") == "say"
            return is_say and part.lower() in data["text"].lower()

        found = await self.wait(lambda m: wanted(m) and self._at(m) >= after_s, timeout_s)
        return self._at(found)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Our own messages of a kind, in order."""
        found = [m["data"] for _, m in self.messages if m["type"] == "server-message"]
        return [data for data in found if data.get("kind") == kind]

    def says(self) -> list[str]:
        return [str(data["text"]) for data in self.events("say")]

    async def speak(self, pcm: bytes) -> float:
        """Say PCM16 at 16 kHz in real time; when the last loud sample was sent."""
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, np.int16).astype(np.int32)) > LOUD)
        end = (int(loud[-1]) if loud.size else 0) / IN_HZ
        begun = asyncio.get_running_loop().create_future()
        done = asyncio.get_running_loop().create_future()
        await self._microphone.put(pcm)
        self._begun, self._done = begun, done
        start_s = await begun
        await done
        self.speech_ended_s = start_s + end
        return self.speech_ended_s

    def first_sound_after(self, at_s: float) -> float | None:
        """When the bot was first heard after `at_s`."""
        return next((t for t, pcm in self.sound if t > at_s and _is_loud(pcm)), None)

    def last_sound(self) -> float:
        return max((t for t, pcm in self.sound if _is_loud(pcm)), default=0.0)

    async def microphone(self) -> None:
        """Silence, or what is spoken, 50 times a second."""
        next_s = time.monotonic()
        waiting = b""
        silence = bytes(_TICK_BYTES)
        while True:
            if not waiting and not self._microphone.empty():
                waiting = self._microphone.get_nowait()
                self._begun.set_result(self.now_s())
            tick, waiting = (waiting[:_TICK_BYTES], waiting[_TICK_BYTES:]) if waiting else (silence, b"")
            frame = Frame()
            frame.audio.audio, frame.audio.sample_rate, frame.audio.num_channels = tick, IN_HZ, 1
            await self._socket.send(frame.SerializeToString())
            if (
                not waiting
                and getattr(self, "_done", None) is not None
                and self._begun.done()
                and not self._done.done()
            ):
                self._done.set_result(None)
            next_s += TICK_S
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))

    async def listen(self) -> None:
        """Collect what arrives until the connection ends."""
        try:
            async for data in self._socket:
                frame = Frame.FromString(data)
                async with self._news:
                    if frame.WhichOneof("frame") == "audio":
                        self.sound.append((self.now_s(), frame.audio.audio))
                    elif frame.WhichOneof("frame") == "message":
                        self.messages.append((self.now_s(), json.loads(frame.message.data)))
                    self._news.notify_all()
        except websockets.ConnectionClosed as error:
            self._lost = error
        finally:
            self.closed.set()
            async with self._news:
                self._news.notify_all()

    def _at(self, message: dict[str, Any]) -> float:
        return next(t for t, m in self.messages if m is message)


@asynccontextmanager
async def call(url: str, session: str, *, microphone: bool = False) -> AsyncGenerator[CallClient]:
    """Connect to `url` (http://…) and be ready; hang up at the end."""
    address = f"{url.replace('http', 'ws', 1)}/api/ws?session={session}"
    async with websockets.connect(address, max_size=None) as socket:
        client = CallClient(socket)
        tasks = [asyncio.create_task(client.listen())]
        try:
            await client.ready()
            if microphone:
                tasks.append(asyncio.create_task(client.microphone()))
            yield client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _is_loud(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, np.int16)
    return bool(samples.size) and int(np.abs(samples.astype(np.int32)).max()) > LOUD
