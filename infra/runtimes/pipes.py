"""The output of a child process, read without threads. Backpressure reaches the child: unread output fills its pipe."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping

from infra.runtime import Stream

#: Bytes per read (a pipe's size), and how many may wait to be taken before reading pauses.
CHUNK_BYTES, CHUNKS_WAITING = 65_536, 16
#: How much of the end of stderr is kept for a diagnosis.
TAIL_BYTES = 2048


class OutputPipes:
    """Both output pipes of one process; owns their descriptors."""

    def __init__(self, descriptors: Mapping[int, Stream]) -> None:
        """Take over the reading ends."""
        self._open = dict(descriptors)
        self._chunks: deque[tuple[Stream, bytes]] = deque()
        self._event = asyncio.Event()
        self._is_reading = False
        self.stderr_tail = b""
        for fd in self._open:
            os.set_blocking(fd, False)

    async def chunks(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What is written, in the order of each pipe, until both are closed."""
        try:
            while self._chunks or self._open:
                if not self._chunks:
                    self._resume()
                    await self._event.wait()
                while self._chunks:
                    yield self._chunks.popleft()
        finally:
            self._pause()

    def read_rest(self) -> None:
        """Take what is waiting in the pipes of an ended process without waiting, for the diagnosis."""
        for fd in list(self._open):
            if len(self._chunks) < CHUNKS_WAITING:
                self._read(fd)

    def _read(self, fd: int) -> None:
        stream = self._open[fd]
        try:
            data = os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._chunks.append((stream, data))
            if stream is Stream.STDERR:
                self.stderr_tail = (self.stderr_tail + data)[-TAIL_BYTES:]
        else:
            self._close(fd)
        self._event.set()
        if len(self._chunks) >= CHUNKS_WAITING:
            self._pause()

    def _resume(self) -> None:
        self._event.clear()
        if not self._is_reading:
            self._is_reading = True
            for fd in self._open:
                asyncio.get_running_loop().add_reader(fd, self._read, fd)

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            for fd in self._open:
                asyncio.get_running_loop().remove_reader(fd)

    def _close(self, fd: int) -> None:
        if self._is_reading:
            asyncio.get_running_loop().remove_reader(fd)
        del self._open[fd]
        with contextlib.suppress(OSError):
            os.close(fd)

    def close(self) -> None:
        """Stop reading and give the descriptors back; what was not taken is lost. Idempotent."""
        for fd in list(self._open):
            self._close(fd)
        self._is_reading = False
        self._event.set()
