"""What a command prints, kept bounded: a spool file, a tail for error messages, chunks for live readers.

Bytes are decoded incrementally, so neither a character nor a line is cut at the edge of a read; values of secrets
are blotted out before anything is kept.
"""

from __future__ import annotations

import asyncio
import codecs
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from infra.runtime import Stream
from infra.state_store import StateStore
from schemas.lease import Lease

#: Lines and characters of the tail that goes into a failure.
TAIL_LINES, TAIL_CHARS = 100, 16_384
#: A line longer than this is kept in pieces.
MAX_LINE_CHARS = 16_384
#: Pause between two chunks for live readers, in seconds.
PUBLISH_S = 0.25


class LogSpool:
    """The log of one attempt. `feed` is called with what was printed; `publish_loop` runs beside it."""

    def __init__(
        self, path: Path, limit_bytes: int, on_line: Callable[[str], None], secrets: Collection[str] = ()
    ) -> None:
        self._file: BinaryIO | None = None
        self._path, self._limit, self._on_line = path, limit_bytes, on_line
        self._secrets = sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True)
        self._decoders = {s: codecs.getincrementaldecoder("utf-8")("replace") for s in Stream}
        self._partial = dict.fromkeys(Stream, "")
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._live: list[str] = []
        self._live_offset = 0
        self._fresh = asyncio.Event()
        self.size_bytes = 0
        self.dropped_bytes = 0

    @property
    def path(self) -> Path:
        """The spool file; it exists once something was printed."""
        return self._path

    @property
    def tail(self) -> str:
        """The last lines, at most `TAIL_CHARS` characters."""
        return "\n".join(self._tail)[-TAIL_CHARS:]

    def feed(self, stream: Stream, data: bytes, *, final: bool = False) -> None:
        """Take what a stream printed; with `final` the rest of an unfinished line too."""
        text = self._partial[stream] + self._decoders[stream].decode(data, final)
        *lines, rest = text.split("\n")
        while len(rest) > MAX_LINE_CHARS:
            lines.append(rest[:MAX_LINE_CHARS])
            rest = rest[MAX_LINE_CHARS:]
        if final and rest:
            lines.append(rest)
            rest = ""
        self._partial[stream] = rest
        for line in lines:
            self._keep(line.removesuffix("\r"))

    def write(self, line: str) -> None:
        """A line of the node's own, e.g. which command starts."""
        self._keep(line)

    def _keep(self, line: str) -> None:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        self._on_line(line)
        self._tail.append(line)
        raw = (line + "\n").encode("utf-8", "replace")
        if self.size_bytes + len(raw) > self._limit:
            if not self.dropped_bytes:
                self._append(b"[log limit reached; what follows was not kept]\n")
            self.dropped_bytes += len(raw)
            return
        self._append(raw)
        self._live.append(line + "\n")
        self._fresh.set()

    def _append(self, raw: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("ab")
        self._file.write(raw)
        self.size_bytes += len(raw)

    async def publish_loop(self, store: StateStore, lease: Lease) -> None:
        """Publish what came since the last round, until canceled."""
        while True:
            await self._fresh.wait()
            await asyncio.sleep(PUBLISH_S)
            await self.publish(store, lease)

    async def publish(self, store: StateStore, lease: Lease) -> None:
        """Publish what came since the last round, now."""
        self._fresh.clear()
        text, self._live = "".join(self._live), []
        offset = self._live_offset
        self._live_offset += len(text)
        for start in range(0, len(text), 65_536):
            await store.append_log(lease, offset + start, text[start : start + 65_536])

    def close(self) -> None:
        """Flush the spool to disk."""
        if self._file is not None:
            self._file.close()
            self._file = None
