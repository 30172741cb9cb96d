"""What one stretch of speech may have been, and the sound behind it for as long as it is needed.

A `Hearing` travels in `TranscriptionFrame.result`. It always speaks for the whole turn so far, also when
a pause cut the turn into segments, so that half a command is never taken for a whole one. Its PCM is
let go by `release`, or with the object itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pipecat.frames.frames import DataFrame, TranscriptionFrame

from voice.services.errors import SpeechBusy
from voice.services.mel import SAMPLE_RATE_HZ

#: (text, average log probability per token), best first.
Hypothesis = tuple[str, float]

#: The most that is decoded at once is Whisper's own window of 30 s; a turn longer than this many bytes
#: of PCM16 is heard segment by segment instead.
MAX_TURN_BYTES = 29 * SAMPLE_RATE_HZ * 2
#: What is short: beyond 11 s of sound a look, and each sentence that is weighed, costs several times as much.
SHORT_BYTES = 11 * SAMPLE_RATE_HZ * 2


@dataclass(frozen=True, slots=True)
class Look:
    """What one model made of one piece of sound.

    Attributes:
        hypotheses: best first; empty when the model heard no speech.
        no_speech_prob: 0 to 1, the model's belief that nobody spoke.
    """

    hypotheses: tuple[Hypothesis, ...]
    no_speech_prob: float

    @property
    def text(self) -> str:
        """The best text, or an empty one."""
        return self.hypotheses[0][0] if self.hypotheses else ""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a recogniser may be told beforehand; it writes what it hears in these words and spellings.

    Attributes:
        names: the names that may be said, in a sentence.
        requests: what may be asked for, and then the names.
    """

    names: str = ""
    requests: str = ""


#: What may have been said where a text was heard at first.
Hints = Callable[[str], Hint]


@dataclass(frozen=True, slots=True)
class Weight:
    """How likely one text is for one sound: its log probability in nats, and of how many tokens."""

    log_prob: float
    tokens: int


class Ears(Protocol):
    """The models behind a hearing."""

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        """Decode with the better model what the small one took for `heard`. Raises SpeechBusy."""
        ...

    def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
        """Decode it in other ways, each of them told what may be asked for. Raises SpeechBusy."""
        ...

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """For each of `texts` its weight by the small model, which is quick. Raises SpeechBusy."""
        ...

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        """For each of `texts` its weight by the better model. Raises SpeechBusy."""
        ...


@dataclass
class NothingHeardFrame(DataFrame):
    """Says that a stretch of sound held no speech, so that the turn need not wait for its words."""


class TurnSound:
    """The speech of one turn so far: PCM and first looks, segment by segment, bounded."""

    def __init__(self) -> None:
        self._segments: dict[int, tuple[bytes, Look]] = {}
        self._next = 0

    def add(self, pcm: bytes, look: Look) -> int:
        """Append a segment; returns the number by which `drop` takes it out again."""
        number, self._next = self._next, self._next + 1
        self._segments[number] = (pcm, look)
        if sum(len(kept) for kept, _ in self._segments.values()) > MAX_TURN_BYTES:
            self._segments = {key: (b"", kept) for key, (_, kept) in self._segments.items()}
        return number

    def drop(self, number: int) -> None:
        """Forget a segment that was no speech to us (a backchannel); unknown numbers are ignored."""
        self._segments.pop(number, None)

    @property
    def is_split(self) -> bool:
        """Whether a pause cut the turn into more than one segment."""
        return len(self._segments) > 1

    def pcm(self) -> bytes | None:
        """Return the sound of the whole turn, or None where it was too long to be kept."""
        pieces = [pcm for pcm, _ in self._segments.values()]
        return b"".join(pieces) if pieces and all(pieces) else None

    def joined(self) -> Hypothesis:
        """Return the segments' best texts, one after the other, as the least certain of them."""
        looks = [look for _, look in self._segments.values()]
        return " ".join(look.text for look in looks), min(look.hypotheses[0][1] for look in looks)


class Hearing:
    """What the turn so far may have been, with a better look to be had for asking.

    Args:
        look: the hypotheses for the whole turn.
        pcm: the sound behind them, PCM16 at 16 kHz; None where there is no second look.
        ears: what that sound can be held to.
        on_discard: called once by `discard`.
    """

    def __init__(
        self,
        look: Look,
        pcm: bytes | None = None,
        ears: Ears | None = None,
        on_discard: Callable[[], None] | None = None,
    ) -> None:
        self._look = look
        self._pcm = pcm
        self._ears = ears
        self._on_discard = on_discard
        self._second: asyncio.Task[Hearing | None] | None = None
        self._sketched: dict[str, Weight] = {}

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """(text, average log probability), best first; empty when no speech was heard."""
        return self._look.hypotheses

    @property
    def no_speech_prob(self) -> float:
        """0 to 1: the belief that nobody spoke."""
        return self._look.no_speech_prob

    @property
    def text(self) -> str:
        """The best text, or an empty one. Never show or speak it when it matched nothing."""
        return self._look.text

    async def second_look(self) -> Hearing | None:
        """Decode the same sound with the better model; asked twice, it is decoded once.

        Returns:
            What that model heard (no hypotheses: no speech), or None when there is no better look:
            the sound was released, or the model did not answer before its deadline.
        """
        if self._second is None:
            if self._pcm is None or self._ears is None:
                return None
            self._second = asyncio.create_task(self._again(self._pcm, self._ears))
        # An interruption may cancel who asked; the look is bounded and may serve the next one.
        return await asyncio.shield(self._second)

    async def _again(self, pcm: bytes, ears: Ears) -> Hearing | None:
        try:
            return Hearing(await ears.look_again(pcm, self.text))
        except SpeechBusy:
            return None

    async def further_looks(self, limit_s: float) -> list[Look]:
        """What else it may have been, as far as that can be said within `limit_s` seconds.

        Who listens for requests hears some in what is none: hold them against the sound.
        """
        looks: list[Look] = []
        if self._pcm is None or self._ears is None or len(self._pcm) > SHORT_BYTES:
            return looks
        with suppress(SpeechBusy, TimeoutError):
            async with asyncio.timeout(limit_s):
                async for look in self._ears.look_further(self._pcm, self.text):
                    looks += [look] if look.hypotheses else []
        return looks

    async def sketch(self, texts: Sequence[str]) -> list[Weight] | None:
        """How likely the sound is each of `texts`, at a glance, each asked about once; None as for `weigh`."""
        if self._pcm is None or self._ears is None or len(self._pcm) > SHORT_BYTES:
            return None
        unknown = [text for text in dict.fromkeys(texts) if text not in self._sketched]
        try:
            weights = await self._ears.sketch(self._pcm, unknown) if unknown else []
        except SpeechBusy:
            return None
        self._sketched.update(zip(unknown, weights, strict=True))
        return [self._sketched[text] for text in texts]

    async def weigh(self, texts: Sequence[str]) -> list[tuple[Weight, ...]] | None:
        """How likely the sound is each of `texts`, by each model.

        Returns:
            None when that cannot be said: the sound was released, or the models did not answer in time.
        """
        by_small, by_better = await asyncio.gather(self.sketch(texts), self._weigh(texts))
        return list(zip(by_small, by_better, strict=True)) if by_small and by_better else None

    async def _weigh(self, texts: Sequence[str]) -> list[Weight] | None:
        if self._pcm is None or self._ears is None or len(self._pcm) > SHORT_BYTES:
            return None
        try:
            return await self._ears.weigh(self._pcm, texts)
        except SpeechBusy:
            return None

    def discard(self) -> None:
        """Take this stretch out of its turn: it was a backchannel, no part of what will be said."""
        if self._on_discard is not None:
            self._on_discard()
            self._on_discard = None
        self.release()

    def release(self) -> None:
        """Let the sound go; a second look that is under way still ends. Safe to call twice."""
        self._pcm = self._ears = None


def hearing_of(frame: TranscriptionFrame) -> Hearing:
    """Return the hearing in a transcription; other recognisers' plain text counts as certain."""
    found: object = frame.result
    return found if isinstance(found, Hearing) else Hearing(Look(((frame.text, 0.0),), 0.0))


def with_joined(look: Look, joined: Hypothesis) -> Look:
    """Return the look with the segment-wise text as one more hypothesis, unless it is among them."""
    known = {_words(text) for text, _ in look.hypotheses}
    if _words(joined[0]) in known:
        return look
    return Look((*look.hypotheses, joined), look.no_speech_prob)


def _words(text: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in text.lower()).split())
