"""Whisper on CTranslate2, int8: sound in, n-best texts with their average log probability out.

A `WhisperModel` is blocking and shared by the whole process; a `Listener` keeps it off the event loop
on one thread of its own and holds every request to a deadline. Own features and own token decoding, so
neither a tokenizer nor a hub client is needed, and nothing is ever fetched.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from voice.services.bpe import decode_tokens
from voice.services.errors import SpeechBusy
from voice.services.hearing import Look
from voice.services.mel import SAMPLE_RATE_HZ, Float32, log_mel, pcm_to_sound

#: Seconds. A window of 12 s loses nothing against Whisper's own 30 s and takes a third of the time; at
#: 8 s it begins to repeat itself. Beyond 11.5 s of sound the whole window is needed.
_SHORT_WINDOW_S, _LONG_WINDOW_S, _LONG_FROM_S = 12.0, 30.0, 11.5
#: Tokens; a command has under 30, and a bound ends what would repeat for ever.
_SHORT_TOKENS, _LONG_TOKENS = 64, 200
#: A best text that is less likely than this, from a sound that may hold no speech, is an invention: no
#: spoken command was under -1.7, and what is made of bursts of noise mostly is.
_INVENTED_BELOW, _INVENTED_NO_SPEECH = -1.75, 0.15
#: How many texts are weighed against each other.
_BEAM = 5


class _Generated(Protocol):
    @property
    def sequences(self) -> Sequence[Sequence[str]]: ...
    @property
    def scores(self) -> Sequence[float]: ...
    @property
    def no_speech_prob(self) -> float: ...


class _Engine(Protocol):
    @property
    def is_multilingual(self) -> bool: ...
    def generate(
        self,
        features: object,
        prompts: list[list[str]],
        *,
        beam_size: int,
        num_hypotheses: int,
        max_length: int,
        return_scores: bool,
        return_no_speech_prob: bool,
    ) -> list[_Generated]: ...


class _EngineFactory(Protocol):
    def __call__(self, path: str, *, device: str, compute_type: str, intra_threads: int) -> _Engine: ...


class _StorageView(Protocol):
    def from_array(self, array: Float32) -> object: ...


class WhisperModel:
    """One set of Whisper weights, loaded. Blocking; safe to call from several threads.

    Args:
        folder: holds config.json, model.bin and vocabulary.*, proven by `weights`.
        silence_above: no_speech_prob from which a look counts as silence.
        threads: CPU threads for one decoding.
    """

    def __init__(self, folder: Path, silence_above: float, threads: int) -> None:
        # The package has no types for its compiled half; these two names are all that is used of it.
        package = importlib.import_module("ctranslate2")
        engine = cast("_EngineFactory", importlib.import_module("ctranslate2.models").Whisper)
        self._view = cast("_StorageView", package.StorageView)
        self._engine = engine(str(folder), device="cpu", compute_type="int8", intra_threads=threads)
        self._silence_above = silence_above
        language = ["<|en|>", "<|transcribe|>"] if self._engine.is_multilingual else []
        self._prompt = ["<|startoftranscript|>", *language, "<|notimestamps|>"]

    def look(self, pcm: bytes) -> Look:
        """Decode mono PCM16 at 16 kHz, at most 30 s of it.

        Returns:
            up to five hypotheses, best first; none when it is silence, noise or empty text.
        """
        sound = pcm_to_sound(pcm)
        is_short = len(sound) <= _LONG_FROM_S * SAMPLE_RATE_HZ
        features = log_mel(sound, _SHORT_WINDOW_S if is_short else _LONG_WINDOW_S)
        found = self._engine.generate(
            self._view.from_array(np.ascontiguousarray(features[None])),
            [self._prompt],
            beam_size=_BEAM,
            num_hypotheses=_BEAM,
            max_length=_SHORT_TOKENS if is_short else _LONG_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        texts = [
            (decode_tokens(tokens), float(score)) for tokens, score in zip(found.sequences, found.scores, strict=False)
        ]
        if not texts or not texts[0][0] or self._is_no_speech(texts[0][1], found.no_speech_prob):
            return Look((), found.no_speech_prob)
        return Look(tuple((text, score) for text, score in texts if text), found.no_speech_prob)

    def _is_no_speech(self, likelihood: float, no_speech_prob: float) -> bool:
        is_invented = likelihood < _INVENTED_BELOW and no_speech_prob > _INVENTED_NO_SPEECH
        return is_invented or no_speech_prob > self._silence_above


class Listener:
    """Runs one model on one thread, so that looks queue up instead of fighting for the cores.

    Args:
        name: for messages.
        model: what is run.
        deadline_s: how long one look may take, waiting included.
    """

    def __init__(self, name: str, model: WhisperModel, deadline_s: float) -> None:
        self._name = name
        self._model = model
        self._deadline_s = deadline_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        #: How often it was asked to look.
        self.looks = 0

    async def look(self, pcm: bytes) -> Look:
        """Decode without blocking the event loop; one that is cancelled while it waits never runs.

        Raises:
            SpeechBusy: not done before the deadline.
        """
        self.looks += 1
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._model.look, pcm)
        except TimeoutError as error:
            raise SpeechBusy(self._name, self._deadline_s) from error

    def close(self) -> None:
        """Drop what waits; a look that runs ends by itself. Safe to call twice."""
        self._thread.shutdown(wait=False, cancel_futures=True)
