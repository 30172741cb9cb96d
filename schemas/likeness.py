"""How alike two phrases are, by their letters and by their sound, from 0 to 100.

The only file that knows the fuzzy-matching and phonetics packages. Half letters, half sound: letters alone miss what a
recogniser spells in another way, sound alone takes too much for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process

Scores = npt.NDArray[np.float32]

#: Letters of one word that are turned into sound: the code grows with the word, and nobody says longer ones.
MAX_WORD_CHARS = 24

# The package has no types of its own; a plain import would leave every use of it unknown.
_codes: Callable[[str], tuple[str, str]] = import_module("metaphone").doublemetaphone
_cdist = cast("Callable[..., npt.NDArray[Any]]", process.cdist)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases in plain spelling, with their sounds."""

    texts: tuple[str, ...]
    sounds: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Phrases:
        """Prepare `texts` for any number of comparisons."""
        return cls(tuple(texts), tuple(sound(text) for text in texts))

    def __len__(self) -> int:
        return len(self.texts)


def sound(text: str) -> str:
    """The phonetic code of a phrase: its words' codes joined, so that a word cut in two sounds the same."""
    return "".join(_word_sound(word) for word in text.split())


def likeness(these: Phrases, those: Phrases, least: float = 0.0) -> Scores:
    """Scores of shape (these, those); below `least` they may be anything lower, which is quicker to tell."""
    if not these or not those:
        return np.zeros((len(these), len(those)), np.float32)
    # Half of it may be perfect.
    half = max(0.0, 2 * least - 100)
    by_text = _cdist(these.texts, those.texts, scorer=fuzz.ratio, dtype=np.float32, score_cutoff=half)
    by_sound = _cdist(these.sounds, those.sounds, scorer=fuzz.ratio, dtype=np.float32, score_cutoff=half)
    return cast("Scores", (by_text + by_sound) / 2)


@lru_cache(maxsize=65_536)
def _word_sound(word: str) -> str:
    return _codes(word[:MAX_WORD_CHARS])[0] or word[:1].upper()
