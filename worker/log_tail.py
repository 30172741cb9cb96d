"""What a command prints, kept bounded: a spool file, a tail for error messages, chunks for live readers.

Bytes are decoded incrementally, so neither a character nor a line is cut at the edge of a read; values of secrets
are blotted out before anything is kept.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from infra.errors import SisyphusError
from infra.log import get_logger
from infra.runtime import Stream
from infra.state_store import StateStore
from schemas.lease import Lease
from schemas.paths import RESERVED_PREFIX, Remote, Scheme

log = get_logger(__name__)

#: Lines and characters of the tail that goes into a failure.
TAIL_LINES, TAIL_CHARS = 100, 16_384
#: A line longer than this is kept in pieces.
MAX_LINE_CHARS = 16_384
#: Characters of an attempt that are offered to live readers; the store bounds them too.
LIVE_CHARS = 1_200_000
#: Pause between two chunks for live readers, in seconds, and their size.
PUBLISH_S, CHUNK_CHARS = 0.25, 65_536


def log_remote(bucket: str, task_id: str, epoch: int) -> Remote:
    """Where the whole log of an attempt is kept."""
    return Remote(Scheme.BUCKET, bucket, f"{RESERVED_PREFIX}logs/{task_id}/{epoch}.log")


class LogSpool:
    """The log of one attempt. `feed` is called with what was printed; `publish_loop` runs beside it.

    Work is done per read, not per line: a command may print millions of lines a second. Only lines that begin with
    ``::`` are looked at one by one; they are passed to `on_command`.
    """

    def __init__(
        self, path: Path, limit_bytes: int, on_command: Callable[[str], None], secrets: Collection[str] = ()
    ) -> None:
        self._file: BinaryIO | None = None
        self._path, self._limit, self._on_command = path, limit_bytes, on_command
        # A secret of several lines, such as a key, is mostly printed in several pieces.
        lines = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
        self._secrets = sorted((line for line in lines if len(line) >= 4), key=len, reverse=True)
        self._decoders = {s: codecs.getincrementaldecoder("utf-8")("replace") for s in Stream}
        self._partial = dict.fromkeys(Stream, "")
        self._tail = ""
        self._last = dict.fromkeys(Stream, "")
        self._live: list[str] = []
        self._live_chars = self._live_offset = 0
        self._fresh, self._publishing = asyncio.Event(), asyncio.Lock()
        self._publication: asyncio.Future[None] | None = None
        self.size_bytes = 0
        self.dropped_bytes = 0

    @property
    def path(self) -> Path:
        """The spool file; it exists once something was printed."""
        return self._path

    @property
    def tail(self) -> str:
        """The last lines, at most `TAIL_LINES` and `TAIL_CHARS` characters."""
        return "\n".join(self._tail.splitlines()[-TAIL_LINES:])

    @property
    def last_line(self) -> str:
        """What the command said last, of what it complained of if it complained: the streams come in no sure order."""
        return self._last[Stream.STDERR] or self._last[Stream.STDOUT]

    def begin_command(self) -> None:
        """What is printed from now on is another command's."""
        self._last = dict.fromkeys(Stream, "")

    def feed(self, stream: Stream, data: bytes, *, final: bool = False) -> None:
        """Take what a stream printed; with `final` the rest of an unfinished line too."""
        text = self._partial[stream] + self._decoders[stream].decode(data, final)
        end = text.rfind("\n") + 1
        block, rest = text[:end], text[end:]
        if rest and (final or len(rest) > MAX_LINE_CHARS):
            block, rest = f"{block}{rest}\n", ""
        self._partial[stream] = rest
        if block:
            self._keep(stream, block.replace("\r\n", "\n"))

    def _keep(self, stream: Stream, block: str) -> None:
        for secret in self._secrets:
            block = block.replace(secret, "***")
        if "::" in block:
            for line in block.split("\n"):
                if line.startswith("::"):
                    self._on_command(line)
        end = block[-TAIL_CHARS:]
        self._tail = (self._tail + end)[-TAIL_CHARS:]
        self._last[stream] = next((line for line in reversed(end.splitlines()) if line.strip()), self._last[stream])
        raw = block.encode("utf-8", "replace")
        room = max(0, self._limit - self.size_bytes)
        if raw and room:
            self._append(raw[:room])
        if len(raw) > room:
            if not self.dropped_bytes:
                self._append(b"\n[log limit reached; what follows was not kept]\n")
            self.dropped_bytes += len(raw) - room
        if self._live_chars < LIVE_CHARS:
            self._live_chars += len(block)
            self._live.append(block)
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
            try:
                await self.publish(store, lease)
            except SisyphusError as error:
                log.warning("live_log_not_stored", task_id=lease.task_id, error=str(error), consequence="tried again")
                self._fresh.set()

    async def publish(self, store: StateStore, lease: Lease) -> None:
        """Publish what came since the last round, now.

        A chunk that is under way is finished although its caller is canceled: the last lines of a command are often
        the reason why the loop ends.
        """
        self._publication = asyncio.ensure_future(self._publish(store, lease))
        self._publication.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._publication)

    async def _publish(self, store: StateStore, lease: Lease) -> None:
        async with self._publishing:
            self._fresh.clear()
            text, self._live = "".join(self._live), []
            for start in range(0, len(text), CHUNK_CHARS):
                try:
                    await store.append_log(lease, self._live_offset, text[start : start + CHUNK_CHARS])
                except BaseException:
                    self._live.insert(0, text[start:])
                    raise
                self._live_offset += len(text[start : start + CHUNK_CHARS])

    def close(self) -> None:
        """Flush the spool to disk."""
        if self._file is not None:
            self._file.close()
            self._file = None
