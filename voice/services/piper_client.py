"""The server's side of the voice process: starts it, keeps it alive, and hands out speech per request.

Requests of all sessions go through one process and are spoken in the order in which they came; since a
session asks for one sentence at a time, the sessions take turns. When the process dies, every open
request fails at once with `VoiceDied`, and it is started again, ever later if it keeps dying.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from infra.log import get_logger
from voice.services import piper_wire
from voice.services.errors import SpeechBusy, SpeechError, VoiceDied
from voice.services.piper_wire import FrameType, WireError, WireFrame

_log = get_logger("voice.services.piper")

#: Seconds between two starts of a process that keeps dying; the first restart comes at once.
_BACKOFF_S = (0.0, 0.5, 2.0, 5.0, 10.0)
#: The folder that holds this package.
_ROOT = str(Path(__file__).resolve().parents[2])
#: Characters of one request; a sentence has under 200, and a bound keeps one request from taking minutes.
MAX_TEXT = 2000

#: What a request's queue carries: sound, None for its end, or why it failed.
_Piece = bytes | None | SpeechError


def voice_command(voice: Path, threads: int) -> list[str]:
    """Return the command line of the voice process."""
    return [sys.executable, "-m", "voice.services.piper_process", str(voice), "--threads", str(threads)]


class PiperClient:
    """One voice process and the requests that are open in it.

    Args:
        command: starts the process.
        deadline_s: the longest wait for a request's next sound, the start of the process included.
    """

    def __init__(self, command: Sequence[str], deadline_s: float = 20.0) -> None:
        self._command = list(command)
        self._deadline_s = deadline_s
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Queue[_Piece]] = {}
        self._ready = asyncio.Event()
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.rate_hz = 0
        self.reason = "the voice process has not been started"

    @property
    def is_ready(self) -> bool:
        """Whether a request would be spoken now; otherwise `reason` says why not."""
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The process's id while there is one."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process and keep it running until `close`.

        Raises:
            SpeechBusy: it is not ready before the deadline; it is still being tried.
        """
        self._keeper = self._keeper or asyncio.create_task(self._keep_running())
        await self._wait_ready()

    async def close(self) -> None:
        """End the process; open requests fail. Safe to call twice."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Yield a text's sound as it is made: mono PCM16 little-endian at `rate_hz`.

        Leaving the iteration early, or being canceled, cancels the request in the process.

        Raises:
            ValueError: the text is longer than `MAX_TEXT`.
            SpeechBusy: no sound before the deadline.
            VoiceDied: the process ended in the middle.
            SpeechError: the engine refused this text.
        """
        if len(text) > MAX_TEXT:
            raise ValueError(f"a text of {len(text)} characters is over the limit of {MAX_TEXT}")
        await self._wait_ready()
        number = next(self._numbers) & 0xFFFFFFFF
        pieces = self._open[number] = asyncio.Queue()
        try:
            await self._send(WireFrame(FrameType.SPEAK, number, text.encode()))
            while (piece := await self._next_piece(pieces)) is not None:
                if isinstance(piece, SpeechError):
                    raise piece
                yield piece
        finally:
            # Still known: it was left before its end, so the process need not go on with it.
            if self._open.pop(number, None) is not None:
                self._cancel(number)

    async def _next_piece(self, pieces: asyncio.Queue[_Piece]) -> _Piece:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await pieces.get()
        except TimeoutError as error:
            raise SpeechBusy("The voice", self._deadline_s) from error

    async def _wait_ready(self) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._ready.wait()
        except TimeoutError as error:
            raise SpeechBusy(f"The voice ({self.reason})", self._deadline_s) from error

    async def _send(self, frame: WireFrame) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise VoiceDied(self.reason)
        process.stdin.write(piper_wire.encode(frame))
        # A broken pipe is noticed by the reading side, which fails this request like all others.
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()

    def _cancel(self, number: int) -> None:
        if self._ready.is_set() and self._process and self._process.stdin:
            self._process.stdin.write(piper_wire.encode(WireFrame(FrameType.CANCEL, number)))

    async def _keep_running(self) -> None:
        deaths = 0
        while True:
            self.reason = "the voice process is starting"
            was_ready = await self._run_once()
            deaths = 1 if was_ready else deaths + 1
            pause_s = _BACKOFF_S[min(deaths - 1, len(_BACKOFF_S) - 1)]
            _log.warning("voice_process_ended", reason=self.reason, restart_in_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _run_once(self) -> bool:
        """Run one process to its end; returns whether it had become ready."""
        try:
            self._process = await _spawn(self._command)
        except OSError as error:
            self.reason = f"cannot start {self._command[0]}: {error}"
            return False
        try:
            await self._read(self._process)
            return self._ready.is_set()
        finally:
            was_ready, process = self._ready.is_set(), self._process
            self._ready.clear()
            self._process = None
            # Closed is noticed by a process that still runs, and it ends; the signal is for one that hangs.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
            self.reason = f"exit status {code}" + ("" if was_ready else " before it was ready")
            self._fail_all(VoiceDied(self.reason))

    async def _read(self, process: Process) -> None:
        stdout = process.stdout
        if stdout is None:
            return
        try:
            while True:
                kind, request, length = piper_wire.decode_header(await stdout.readexactly(piper_wire.HEADER_BYTES))
                self._handle(WireFrame(kind, request, await stdout.readexactly(length)))
        except asyncio.IncompleteReadError:
            return
        except WireError as error:
            _log.error("voice_process_garbled", reason=str(error))

    def _handle(self, frame: WireFrame) -> None:
        if frame.type is FrameType.READY:
            self.rate_hz = int.from_bytes(frame.payload, "big")
            self.reason = ""
            self._ready.set()
            return
        pieces = self._open.get(frame.request)
        if pieces is None:
            return  # canceled; its last frames were already on their way
        if frame.type is FrameType.PCM:
            pieces.put_nowait(frame.payload)
        elif frame.type is FrameType.END:
            del self._open[frame.request]
            pieces.put_nowait(None)
        elif frame.type is FrameType.ERROR:
            del self._open[frame.request]
            reason = frame.payload.decode("utf-8", "replace")
            pieces.put_nowait(SpeechError(f"Piper could not speak this sentence ({reason})."))

    def _fail_all(self, error: VoiceDied) -> None:
        waiting, self._open = self._open, {}
        for pieces in waiting.values():
            pieces.put_nowait(error)


async def _spawn(command: Sequence[str]) -> Process:
    known = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "ORT_DISABLE_TELEMETRY": "1",
        # The process must find this package also where it runs from a checkout.
        "PYTHONPATH": _ROOT + (os.pathsep + known if known else ""),
    }
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        # Ctrl-C goes to the whole terminal group; the server decides when its voice ends.
        start_new_session=True,
    )
