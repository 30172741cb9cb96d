"""BERT's WordPiece: words into the numbers of the pieces that its vocabulary has, longest first.

Only what follows BERT's own cleaning is needed here, since the words come as plain lower-case text; the rule is that of
Schuster and Nakajima (ICASSP 2012).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from voice.services.token_table import TokenTable

#: Tokens of one sentence at most; what goes beyond is cut off. The longest sentence that is understood has 60 words.
MAX_TOKENS = 96
#: Letters of a word that is known, at most, as in BERT; longer ones take long to split.
_MAX_LETTERS = 100
_START, _END, _UNKNOWN, _INSIDE = "[CLS]", "[SEP]", "[UNK]", "##"


class WordPieces:
    """A vocabulary.

    Args:
        tokens: all of them, in the order of their numbers.
        signs: words that stand for something, each with the token that is kept free for it.
    """

    def __init__(self, tokens: Iterable[str], signs: Mapping[str, str]) -> None:
        self._table = TokenTable(tokens)
        self._start, self._end, self._unknown = (self._table.number(token) for token in (_START, _END, _UNKNOWN))
        self._signs = {word: self._table.number(token) for word, token in signs.items()}
        self._split = lru_cache(maxsize=4_096)(self._pieces)

    @classmethod
    def read(cls, path: Path, signs: Mapping[str, str]) -> WordPieces:
        """Read a ``vocab.txt``: a token a line."""
        return cls(path.read_text(encoding="utf-8").splitlines(), signs)

    @property
    def tokens(self) -> list[str]:
        """All of them, by number."""
        return [self._table.token(number) for number in range(len(self._table))]

    def number(self, token: str) -> int:
        """The number of a token. Raises KeyError where there is none."""
        return self._table.number(token)

    def encode(self, words: Iterable[str]) -> list[int]:
        """The numbers of a sentence, with its start and its end."""
        inner = [number for word in words for number in self._word(word)]
        return [self._start, *inner[: MAX_TOKENS - 2], self._end]

    def _word(self, word: str) -> Iterable[int]:
        if word in self._signs:
            return (self._signs[word],)
        # BERT takes signs for words of their own.
        return (number for part in word.replace("'", " ' ").split() for number in self._split(part))

    def _pieces(self, word: str) -> tuple[int, ...]:
        if len(word) > _MAX_LETTERS:
            return (self._unknown,)
        start, found = 0, list[int]()
        while start < len(word):
            mark = _INSIDE if start else ""
            numbers = ((end, self._table.find(mark + word[start:end])) for end in range(len(word), start, -1))
            end, number = next((piece for piece in numbers if piece[1] is not None), (start, None))
            if number is None:
                # A word is known as a whole or not at all.
                return (self._unknown,)
            found.append(number)
            start = end
        return tuple(found)
