"""The voice process: loads Piper once and speaks what it is sent, one request after the other.

Piper is GPL-3.0-or-later. It is imported here and nowhere else, and this module only ever runs as a
program of its own (`python -m voice.services.piper_process VOICE.onnx`), which talks to the server in
the frames of `piper_wire`. It ends when its standard input ends, so it cannot outlive the server.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from voice.services import piper_wire
from voice.services.memory import return_memory, shrinking_run
from voice.services.piper_wire import FrameType, WireFrame

#: PCM values below this are silence; what the voice breathes before a first word is left out.
_SILENCE = 200
#: Samples kept before the first audible one, so that no consonant is clipped.
_LEAD_SAMPLES = 110
#: Seconds without a request after which working memory is given back.
_REST_AFTER_S = 5.0


class _Chunk(Protocol):
    @property
    def audio_int16_array(self) -> NDArray[np.int16]: ...


class _Voice(Protocol):
    def synthesize(self, text: str) -> Iterable[_Chunk]: ...


class _Runs(Protocol):
    def run(self, outputs: object, inputs: object, options: object) -> object: ...


class _Session:
    """The ONNX session that Piper runs, with a way to make it give its working memory back."""

    def __init__(self, session: _Runs, shrinking: object) -> None:
        self._session = session
        self._shrinking = shrinking
        self._is_shrinking = False

    def run(self, outputs: object, inputs: object) -> object:
        return self._session.run(outputs, inputs, self._shrinking if self._is_shrinking else None)

    def shrink_by(self, run: Callable[[], object]) -> None:
        # The runtime frees its arena only at the end of a run that asks for it.
        self._is_shrinking = True
        run()
        self._is_shrinking = False


class LoadedVoice:
    """Piper with one voice; blocking.

    Args:
        model: the .onnx file, its .json beside it.
        threads: CPU threads of one synthesis.
    """

    def __init__(self, model: Path, threads: int) -> None:
        self._voice, self._session, self.rate_hz = _load(model, threads)
        self.rest()

    def synthesize(self, text: str) -> Iterable[_Chunk]:
        """Yield the sound of a text, one chunk per sentence."""
        return self._voice.synthesize(text)

    def rest(self) -> None:
        """Give back the memory that the longest sentence needed (up to 150 MB); takes about 50 ms."""
        self._session.shrink_by(lambda: collections.deque(self._voice.synthesize("Ready."), maxlen=0))
        return_memory()


def _load(model: Path, threads: int) -> tuple[_Voice, _Session, int]:
    # Set before the runtime is imported: it would leave a device id in the user's cache folder.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    piper: Any = importlib.import_module("piper")
    config: Any = importlib.import_module("piper.config").PiperConfig
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Sentences differ in length, so a plan for one length would never be used again.
    options.enable_mem_pattern = False
    loaded = runtime.InferenceSession(str(model), sess_options=options, providers=["CPUExecutionProvider"])
    session = _Session(loaded, shrinking_run())
    settings = config.from_dict(json.loads(Path(f"{model}.json").read_text()))
    voice = cast("_Voice", piper.PiperVoice(session=session, config=settings))
    return voice, session, int(settings.sample_rate)


class Speaker:
    """Speaks the queued requests in turn on the calling thread.

    Args:
        voice: what speaks.
        out: where the frames go.
    """

    def __init__(self, voice: LoadedVoice, out: BinaryIO) -> None:
        self._voice = voice
        self._out = out
        self._requests: queue.Queue[WireFrame | None] = queue.Queue()
        self._canceled: set[int] = set()
        self._open: set[int] = set()

    def handle(self, frame: WireFrame) -> None:
        """Take a frame from the server; called by the reading thread."""
        if frame.type is FrameType.SPEAK:
            self._open.add(frame.request)
            self._requests.put(frame)
        elif frame.type is FrameType.CANCEL and frame.request in self._open:
            self._canceled.add(frame.request)

    def finish(self) -> None:
        """Make `run` return after the request that it is at."""
        self._requests.put(None)

    def run(self) -> None:
        """Speak until `finish`; a request that fails is answered with its error and the next one goes on."""
        while (frame := self._next()) is not None:
            try:
                self._speak(frame)
                answer = WireFrame(FrameType.END, frame.request)
            except Exception as error:  # noqa: BLE001 - whatever one text does to the engine, the next must work
                answer = WireFrame(FrameType.ERROR, frame.request, f"{type(error).__name__}: {error}".encode())
            self._open.discard(frame.request)
            self._canceled.discard(frame.request)
            self._send(answer)

    def _next(self) -> WireFrame | None:
        try:
            return self._requests.get(timeout=_REST_AFTER_S)
        except queue.Empty:
            self._voice.rest()
            return self._requests.get()

    def _speak(self, frame: WireFrame) -> None:
        if frame.request in self._canceled:
            return
        is_first = True
        for chunk in self._voice.synthesize(frame.payload.decode("utf-8")):
            samples = without_lead(chunk.audio_int16_array) if is_first else chunk.audio_int16_array
            is_first = False
            pcm = samples.astype("<i2").tobytes()
            for start in range(0, len(pcm), piper_wire.PCM_PIECE_BYTES):
                if frame.request in self._canceled:
                    return
                piece = pcm[start : start + piper_wire.PCM_PIECE_BYTES]
                self._send(WireFrame(FrameType.PCM, frame.request, piece))

    def _send(self, frame: WireFrame) -> None:
        self._out.write(piper_wire.encode(frame))
        self._out.flush()


def without_lead(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the samples from just before the first audible one; silence throughout stays as it is."""
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) > _SILENCE)
    return samples[max(0, int(audible[0]) - _LEAD_SAMPLES) :] if len(audible) else samples


def _read_frames(source: BinaryIO, speaker: Speaker) -> None:
    try:
        while len(header := source.read(piper_wire.HEADER_BYTES)) == piper_wire.HEADER_BYTES:
            kind, request, length = piper_wire.decode_header(header)
            speaker.handle(WireFrame(kind, request, source.read(length)))
    finally:
        # The server is gone, or spoke nonsense: nobody is left to speak to, not even to the end of a sentence.
        os._exit(0)


def main() -> None:
    """Run the voice process on standard input and output."""
    parser = argparse.ArgumentParser(description="Speaks the frames on standard input with one Piper voice.")
    parser.add_argument("voice", type=Path, help="the voice's .onnx file; its .json lies beside it")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    # Libraries may print; the pipe belongs to the frames alone.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    voice = LoadedVoice(given.voice, given.threads)
    speaker = Speaker(voice, out)
    threading.Thread(target=_read_frames, args=(sys.stdin.buffer, speaker), daemon=True).start()
    out.write(piper_wire.encode(WireFrame(FrameType.READY, 0, voice.rate_hz.to_bytes(4, "big"))))
    out.flush()
    speaker.run()


if __name__ == "__main__":
    main()
