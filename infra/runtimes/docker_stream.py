"""A container's attached stream: frames of stdout and stderr out of one socket, read by a thread, taken by the loop.

The thread waits when the loop does not take what it read, and the daemon and the container wait for the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from infra.runtime import Stream

#: Bytes per read, and how many reads may wait to be taken.
CHUNK_BYTES, CHUNKS_WAITING = 65_536, 16
_HEADER_BYTES = 8
_STREAMS = {1: Stream.STDOUT, 2: Stream.STDERR}

T = TypeVar("T")


class FrameDecoder:
    """Docker's multiplexed stream: an 8-byte header (stream number, length) before each payload, cut anywhere."""

    def __init__(self) -> None:
        self._header = b""
        self._stream: Stream | None = None
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[Stream, bytes]]:
        """The payloads in `data`, without waiting for a frame to be whole; adjacent ones of a stream are joined."""
        pieces: list[tuple[Stream, bytes]] = []
        view = memoryview(data)
        while view:
            if self._left == 0:
                take = _HEADER_BYTES - len(self._header)
                self._header += bytes(view[:take])
                view = view[take:]
                if len(self._header) == _HEADER_BYTES:
                    number, self._left = struct.unpack(">BxxxL", self._header)
                    self._stream, self._header = _STREAMS.get(number), b""
                continue
            payload = bytes(view[: self._left])
            self._left -= len(payload)
            view = view[len(payload) :]
            if self._stream is None:
                continue
            if pieces and pieces[-1][0] is self._stream:
                pieces[-1] = (self._stream, pieces[-1][1] + payload)
            else:
                pieces.append((self._stream, payload))
        return pieces


def in_thread(name: str, work: Callable[[], T]) -> asyncio.Future[T]:
    """Run blocking work of unknown length in a thread of its own.

    A pool would be filled by waiting containers, and no thread would be left to kill one.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def succeed(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def fail(error: BaseException) -> None:
        if not future.done():
            future.set_exception(error)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - handed to the waiting coroutine, whatever it is
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(succeed, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


class Closable(Protocol):
    """Something that holds a connection."""

    def close(self) -> None:
        """Let go of it."""
        ...


class AttachedStream:
    """One container's output (and input), from before it is started until it ends."""

    def __init__(self, sock: socket.socket, owner: Closable, stdin: Path | None) -> None:
        """Take over a socket that is attached already; `owner` closes it when it is collected, and so is kept."""
        self._socket, self._owner, self._stdin = sock, owner, stdin
        self._queue: asyncio.Queue[tuple[Stream, bytes] | None] = asyncio.Queue()
        # The bound: the thread takes a place per piece, the reader gives it back.
        self._places = threading.Semaphore(CHUNKS_WAITING)
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        sock.settimeout(None)

    def begin(self, name: str) -> None:
        """Start reading, and feeding stdin; call it once the container runs."""
        threading.Thread(target=self._read, name=f"output-{name}", daemon=True).start()
        if self._stdin is not None:
            threading.Thread(target=self._feed, args=(self._stdin,), name=f"stdin-{name}", daemon=True).start()

    def _read(self) -> None:
        decoder = FrameDecoder()
        # A stream that breaks is no verdict on the container: it ends here, and the exit status tells the rest.
        with contextlib.suppress(OSError):
            while data := self._socket.recv(CHUNK_BYTES):
                for piece in decoder.feed(data):
                    self._places.acquire()
                    if self._is_closed:
                        return
                    self._post(piece)
        self._post(None)

    def _post(self, piece: tuple[Stream, bytes] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody reads
            self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)

    def _feed(self, stdin: Path) -> None:
        # A command may end, or close its stdin, before it has read everything.
        with contextlib.suppress(OSError):
            with stdin.open("rb", buffering=0) as file:
                while data := file.read(CHUNK_BYTES):
                    self._socket.sendall(data)
            self._socket.shutdown(socket.SHUT_WR)

    async def pieces(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What is printed, in order, until the stream ends."""
        while (piece := await self._queue.get()) is not None:
            self._places.release()
            yield piece
        self._queue.put_nowait(None)

    def close(self) -> None:
        """End both threads. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._places.release()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._owner.close()
            self._socket.close()
        self._queue.put_nowait(None)
