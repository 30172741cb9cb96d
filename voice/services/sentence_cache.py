"""The sound of fixed sentences, made once and kept on disk, so that an answer begins without any synthesis.

Kept by (voice, sentence): another voice never speaks with the sound of this one. Bounded in bytes; files
of sentences that are no longer asked for are removed. A file that cannot be read is made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from infra.log import get_logger
from voice.services.errors import SpeechError

_log = get_logger("voice.services.sentence_cache")

#: Bytes of sound kept in memory and on disk; about three minutes at 22,050 Hz.
MAX_BYTES = 8 << 20


class SentenceCache:
    """The sound of some sentences in one voice.

    Args:
        folder: `<data>/models/cache`.
        voice_sha256: digest of the voice's weights.
        max_bytes: sentences that would exceed it are spoken without the cache.
    """

    def __init__(self, folder: Path, voice_sha256: str, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder / voice_sha256[:16]
        self._max_bytes = max_bytes
        self._sound: dict[str, bytes] = {}
        self._size = 0

    def __contains__(self, sentence: object) -> bool:
        return sentence in self._sound

    def get(self, sentence: str) -> bytes | None:
        """Return a sentence's sound, mono PCM16 at the voice's rate, or None."""
        return self._sound.get(sentence)

    @property
    def size_bytes(self) -> int:
        """Bytes of sound that are kept."""
        return self._size

    async def prepare(self, sentences: Sequence[str], speak: Callable[[str], AsyncIterator[bytes]]) -> None:
        """Bring the sentences in, from disk or by speaking them once; idempotent.

        One that cannot be spoken now is left out and spoken when it is needed, like any other.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for sentence in dict.fromkeys(sentences):
            if sentence in self._sound:
                continue
            sound = self._read(sentence) or await self._make(sentence, speak)
            if sound and self._size + len(sound) <= self._max_bytes:
                self._sound[sentence] = sound
                self._size += len(sound)
        self._sweep()

    async def _make(self, sentence: str, speak: Callable[[str], AsyncIterator[bytes]]) -> bytes | None:
        try:
            sound = b"".join([piece async for piece in speak(sentence)])
        except SpeechError as error:
            _log.warning("sentence_not_cached", reason=str(error))
            return None
        path = self._path(sentence)
        partial = path.with_suffix(".partial")
        partial.write_bytes(_digest(sound) + sound)
        partial.replace(path)
        return sound

    def _read(self, sentence: str) -> bytes | None:
        try:
            content = self._path(sentence).read_bytes()
        except OSError:
            return None
        head, sound = content[:32], content[32:]
        return sound if sound and _digest(sound) == head else None

    def _sweep(self) -> None:
        wanted = {self._path(sentence).name for sentence in self._sound}
        for path in self._folder.iterdir():
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def _path(self, sentence: str) -> Path:
        return self._folder / f"{hashlib.sha256(sentence.encode()).hexdigest()[:32]}.pcm"


def _digest(sound: bytes) -> bytes:
    return hashlib.sha256(sound).digest()
