"""Whisper on CTranslate2, int8: sound in, n-best texts with their average log probability out.

It also weighs given texts: how likely is it that this sound is that sentence? A sentence that the search did not come
up with may still be nearly as likely as the one that it did.

A `WhisperModel` is blocking and shared by the whole process; a `Listener` keeps it off the event loop
on one thread of its own and holds every request to a deadline. Own features and own token decoding, so
neither a tokenizer nor a hub client is needed, and nothing is ever fetched.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from voice.services.bpe import Vocabulary, decode_tokens
from voice.services.errors import SpeechBusy
from voice.services.hearing import Look, Weight
from voice.services.mel import SAMPLE_RATE_HZ, Float32, log_mel, pcm_to_sound, played

#: Seconds. A window of 12 s loses nothing against Whisper's own 30 s and takes a third of the time; at
#: 8 s it begins to repeat itself. Beyond 11.5 s of sound the whole window is needed.
_SHORT_WINDOW_S, _LONG_WINDOW_S, _LONG_FROM_S = 12.0, 30.0, 11.5
#: Tokens; a command has under 30, and a bound ends what would repeat for ever.
_SHORT_TOKENS, _LONG_TOKENS = 64, 200
#: A best text that is less likely than this, from a sound that may hold no speech, is an invention: no
#: spoken command was under -1.7, and what is made of bursts of noise mostly is.
_INVENTED_BELOW, _INVENTED_NO_SPEECH = -1.75, 0.15
#: How many texts the search holds against each other.
_BEAM = 5
#: Letters and tokens of a hint that are taken; Whisper takes 223 tokens.
_HINT_CHARS, _HINT_TOKENS = 2_000, 220
#: Texts that are weighed at once.
_BATCH = 8
#: Mel frames a second of sound, and the probability below which a token counts as impossible.
_FRAMES_PER_S, _LEAST_PROBABILITY = 100, 1e-9

T = TypeVar("T")


class _Generated(Protocol):
    @property
    def sequences(self) -> Sequence[Sequence[str]]: ...
    @property
    def scores(self) -> Sequence[float]: ...
    @property
    def no_speech_prob(self) -> float: ...


class _Aligned(Protocol):
    @property
    def text_token_probs(self) -> Sequence[float]: ...


class _Encoded(Protocol):
    def __array__(self) -> Float32: ...


class _Engine(Protocol):
    @property
    def is_multilingual(self) -> bool: ...
    def encode(self, features: object, to_cpu: bool) -> _Encoded: ...
    def align(
        self, features: object, start_sequence: list[int], text_tokens: list[list[int]], num_frames: list[int]
    ) -> list[_Aligned]: ...
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
        start = ["<|startoftranscript|>", *language]
        self._prompt = [*start, "<|notimestamps|>"]
        self._folder, self._start_tokens = folder, start
        # What was encoded last, by the digest of its sound: the same is often looked at and then weighed.
        self._encoded: tuple[bytes, Float32] = (b"", np.zeros((0, 0, 0), np.float32))

    def look(self, pcm: bytes, hint: str = "", tempo: float = 1.0) -> Look:
        """Decode mono PCM16 at 16 kHz, at most 30 s of it.

        Args:
            pcm: the sound.
            hint: sentences as they may be said; what sounds like their words is written like them.
            tempo: how fast it is played, 1.0 as it is; another one also changes its pitch.

        Returns:
            up to five hypotheses, best first; none when it is silence, noise or empty text.
        """
        prompt = [*self._said_before(hint), *self._prompt]
        encoded = self._encode(pcm) if tempo == 1.0 else self._encoding(played(pcm_to_sound(pcm), tempo))
        found = self._engine.generate(
            self._view.from_array(encoded),
            [prompt],
            beam_size=_BEAM,
            num_hypotheses=_BEAM,
            max_length=len(prompt) + (_SHORT_TOKENS if _is_short(pcm) else _LONG_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        texts = [
            (decode_tokens(tokens), float(score)) for tokens, score in zip(found.sequences, found.scores, strict=False)
        ]
        if not texts or not texts[0][0] or self._is_no_speech(texts[0][1], found.no_speech_prob):
            return Look((), found.no_speech_prob)
        return Look(tuple((text, score) for text, score in texts if text), found.no_speech_prob)

    def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """How likely it is that the sound is each of `texts`, by the model's own probabilities of their tokens.

        Args:
            pcm: mono PCM16 at 16 kHz, at most 30 s of it.
            texts: at least one; spelling and punctuation count, so compare like with like.
        """
        tokens = [self._vocabulary.encode(text)[:_LONG_TOKENS] for text in texts]
        return [weight for some in batched(tokens) for weight in self._weigh(pcm, some)]

    def _weigh(self, pcm: bytes, tokens: list[list[int]]) -> list[Weight]:
        frames = max(1, len(pcm) // 2 * _FRAMES_PER_S // SAMPLE_RATE_HZ)
        repeated = np.ascontiguousarray(np.repeat(self._encode(pcm), len(tokens), axis=0))
        found = self._engine.align(self._view.from_array(repeated), self._start, tokens, [frames] * len(tokens))
        return [
            Weight(float(np.log(np.maximum(one.text_token_probs, _LEAST_PROBABILITY)).sum()), len(some))
            for one, some in zip(found, tokens, strict=True)
        ]

    def _said_before(self, hint: str) -> list[str]:
        """A text that went before, which is what Whisper looks to for words and spellings."""
        if not hint:
            return []
        said = self._vocabulary.encode(hint[:_HINT_CHARS])[:_HINT_TOKENS]
        return ["<|startofprev|>", *(self._vocabulary.token(number) for number in said)]

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        """Read when it is needed first."""
        return Vocabulary(self._folder)

    @cached_property
    def _start(self) -> list[int]:
        return [self._vocabulary.number(token) for token in self._start_tokens]

    def _encode(self, pcm: bytes) -> Float32:
        last, encoded = self._encoded
        digest = sha256(pcm).digest()
        if last != digest:
            encoded = self._encoding(pcm_to_sound(pcm))
            self._encoded = (digest, encoded)
        return encoded

    def _encoding(self, sound: Float32) -> Float32:
        is_short = len(sound) <= _LONG_FROM_S * SAMPLE_RATE_HZ
        features = log_mel(sound, _SHORT_WINDOW_S if is_short else _LONG_WINDOW_S)
        view = self._view.from_array(np.ascontiguousarray(features[None]))
        return np.array(self._engine.encode(view, to_cpu=True))

    def _is_no_speech(self, likelihood: float, no_speech_prob: float) -> bool:
        is_invented = likelihood < _INVENTED_BELOW and no_speech_prob > _INVENTED_NO_SPEECH
        return is_invented or no_speech_prob > self._silence_above


def batched(texts: list[list[int]]) -> Iterator[list[list[int]]]:
    """The texts in batches: each text of one takes a copy of the encoded sound, 1.2 MB for 12 s."""
    for start in range(0, len(texts), _BATCH):
        yield texts[start : start + _BATCH]


def _is_short(pcm: bytes) -> bool:
    return len(pcm) <= 2 * _LONG_FROM_S * SAMPLE_RATE_HZ


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
        self._unfinished: set[Future[Any]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, not even what nobody wants any more."""
        return not self._unfinished

    async def look(self, pcm: bytes, hint: str = "", tempo: float = 1.0) -> Look:
        """Decode without blocking the event loop; one that is cancelled while it waits never runs.

        Raises:
            SpeechBusy: not done before the deadline.
        """
        return await self._run(partial(self._model.look, pcm, hint, tempo))

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """How likely each of `texts` is, without blocking the event loop; see `WhisperModel.weigh`.

        Raises:
            SpeechBusy: not done before the deadline.
        """
        return await self._run(partial(self._model.weigh, pcm, texts))

    async def _run(self, work: Callable[[], T]) -> T:
        job = self._thread.submit(work)
        self._unfinished.add(job)
        job.add_done_callback(self._unfinished.discard)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(job)
        except TimeoutError as error:
            raise SpeechBusy(self._name, self._deadline_s) from error

    def close(self) -> None:
        """Drop what waits; a look that runs ends by itself. Safe to call twice."""
        self._thread.shutdown(wait=False, cancel_futures=True)
