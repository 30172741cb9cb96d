"""BERT's WordPiece: words into the numbers of the pieces that its vocabulary has, longest first.

Only what follows BERT's own cleaning is needed here, since the words come as plain lower-case text; the rule is that of
Schuster and Nakajima (ICASSP 2012).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

#: Tokens of one sentence at most; what goes beyond is cut off. The longest sentence that is understood has 60 words.
MAX_TOKENS = 96
_START, _END, _UNKNOWN, _INSIDE = "[CLS]", "[SEP]", "[UNK]", "##"


class WordPieces:
    """A vocabulary.

    Args:
        tokens: all of them, in the order of their numbers.
        signs: words that stand for something, each with the token that is kept free for it.
    """

    def __init__(self, tokens: Iterable[str], signs: Mapping[str, str]) -> None:
        self.tokens = list(tokens)
        self._number = {token: number for number, token in enumerate(self.tokens)}
        self._signs = {word: self._number[token] for word, token in signs.items()}
        self._split = lru_cache(maxsize=4_096)(self._pieces)

    @classmethod
    def read(cls, path: Path, signs: Mapping[str, str]) -> WordPieces:
        """Read a ``vocab.txt``: a token a line."""
        return cls(path.read_text(encoding="utf-8").splitlines(), signs)

    def number(self, token: str) -> int:
        """The number of a token. Raises KeyError where there is none."""
        return self._number[token]

    def encode(self, words: Iterable[str]) -> list[int]:
        """The numbers of a sentence, with its start and its end."""
        inner = [number for word in words for number in self._word(word)]
        return [self._number[_START], *inner[: MAX_TOKENS - 2], self._number[_END]]

    def _word(self, word: str) -> Iterable[int]:
        if word in self._signs:
            return (self._signs[word],)
        # BERT takes signs for words of their own.
        return (number for part in word.replace("'", " ' ").split() for number in self._split(part))

    def _pieces(self, word: str) -> tuple[int, ...]:
        start, found = 0, list[int]()
        while start < len(word):
            mark = _INSIDE if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in self._number), None)
            if end is None:
                # A word is known as a whole or not at all.
                return (self._number[_UNKNOWN],)
            found.append(self._number[mark + word[start:end]])
            start = end
        return tuple(found)
