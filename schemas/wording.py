"""What was said, as plain words: lower case, no accents, numbers as words, no fillers, no politeness at the end.

Both sides of every comparison (what was heard, patterns, names) pass through here, so they meet in one spelling. Every
word remembers where it stood in the original text, so that a free text can be taken from there unchanged. Linear in the
length of the text, which is bounded.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

from schemas.number_words import is_number_word, number_words

#: Longest text that is read, in characters; a spoken command is far below.
MAX_CHARS = 600
_TOKEN = re.compile(r"\d+(?:,\d{3})+(?!\d)|\d+|[^\W\d_]+(?:'[^\W\d_]+)*|&")
#: Sounds of thinking and words of courtesy that carry no meaning wherever they stand.
FILLERS = frozenset({"uh", "uhm", "um", "umm", "erm", "er", "eh", "ah", "hm", "hmm", "mm", "please", "kindly", "just"})

_CONTRACTED = {"ll": "will", "ve": "have", "re": "are", "d": "would", "m": "am"}
#: Words behind which "'s" is "is"; behind all others it is a possessive.
_BEFORE_IS = frozenset({"what", "how", "where", "who", "when", "why", "that", "it", "there", "here", "everything"})
_WHOLE = {"let's": "let us", "can't": "can not", "won't": "will not", "&": "and", "ok": "okay"}
#: What people add behind a command.
_TAILS = """
thanks; thank you; thank you very much; thanks a lot; many thanks
now; right now; right away; at once; immediately; quickly; as soon as possible; then; next; once more
for me; for us; okay; will you; would you; could you; can you
if you can; if you could; if you would; if you do not mind; if that is okay; if possible
dear; love; mate; buddy; pal; my friend; darling; sweetheart; cheers; ta; no rush; no hurry; take your time
will you dear; would you dear; would you love; and thank you; if that works; that would be great; that would be lovely
when you are ready; whenever you are ready; at your leisure; for me love; for me dear; as well; too
can you work that out; could you work that out; can you check; could you check; can you look; could you look
can you find out; could you find out; can you do that; could you do that; can you do it; could you do it
can you tell me
if it is not too much trouble; if it is no trouble; if that is not too much trouble; if you have a moment
when you have a second; when you have a minute; when you have a sec; when you have a chance
please and thank you; if you would be so kind; would you be so kind; will you please; would you please; have a look
when you have got a second; when you have got a minute; when you have got a moment; when you have got time
when you get a sec; when you get a second; when you get a minute; when you get a moment; asap; or something
when you can; when you have time; when you have a moment; when you get a chance
"""
_TAILS_LONGEST_FIRST = sorted((tuple(tail.split()) for tail in re.split(r"[;\n]", _TAILS) if tail), key=len)[::-1]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one utterance; ``places[i]`` is where word i stood in `text`, as (start, end).

    `origin` is what was said, if these words are not: a name stands for a pronoun, or what was taken back is gone, or
    the folder of a file.
    """

    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    origin: str = ""

    def original(self, start: int, end: int) -> str:
        """The words ``start:end`` as they were written, without the punctuation around them."""
        if start >= end:
            return ""
        return self.text[self.places[start][0] : self.places[end - 1][1]]

    def without_courtesy(self) -> Words:
        """The same without what people add behind a command: "thanks", "for me", "right now"."""
        end = len(self.words)
        while (shorter := _without_tail(self.words, end)) < end:
            end = shorter
        return replace(self, words=self.words[:end], places=self.places[:end])


def heard(text: str) -> Words:
    """The words of an utterance without fillers and stutters."""
    text = text[:MAX_CHARS]
    words: list[str] = []
    places: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(_straight(text)):
        for word in _words_of(token[0]):
            # Who says a number twice means both: "twenty twenty three", "five five one".
            is_stutter = words[-1:] == [word] and not is_number_word(word)
            if word not in FILLERS and not is_stutter:
                words.append(word)
                places.append(token.span())
    return Words(text, tuple(words), tuple(places))


def plain(text: str) -> str:
    """A pattern or a name in the spelling of `heard`; nothing is left out but fillers."""
    found = [word for token in _TOKEN.finditer(_straight(text[:MAX_CHARS])) for word in _words_of(token[0])]
    return " ".join([word for word in found if word not in FILLERS] or found)


def _straight(text: str) -> str:
    """Typographic apostrophes as typewriter ones, every place unmoved."""
    return text.replace("\u2019", "'").replace("\u2018", "'")


def _without_tail(words: tuple[str, ...], end: int) -> int:
    for tail in _TAILS_LONGEST_FIRST:
        if len(tail) < end and words[end - len(tail) : end] == tail:
            return end - len(tail)
    return end


@lru_cache(maxsize=16_384)
def _words_of(token: str) -> tuple[str, ...]:
    """One token as plain words: a number as words, a contraction in full, letters without accents."""
    token = token.lower()
    if token[0].isdigit():
        digits = "".join(str(unicodedata.digit(c, 0)) for c in token if c != ",")
        return tuple(number_words(digits).split())
    if token in _WHOLE:
        return tuple(_WHOLE[token].split())
    stem, _, ending = token.partition("'")
    if ending in _CONTRACTED:
        return (*_ascii(stem), _CONTRACTED[ending])
    if ending == "t" and stem.endswith("n"):
        return (*_ascii(stem[:-1]), "not")
    if ending == "s" and stem in _BEFORE_IS:
        return (*_ascii(stem), "is")
    return _ascii(token)


def _ascii(word: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKD", word.replace("ß", "ss").replace("ø", "o").replace("æ", "ae"))
    letters = "".join(c for c in folded if "a" <= c <= "z")
    if letters in _WHOLE:
        return tuple(_WHOLE[letters].split())
    return (letters,) if letters else ()
