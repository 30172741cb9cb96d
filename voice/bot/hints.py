"""What a recogniser is told before it listens closely: the names that may be said.

Whisper takes a text for what was said before, and writes what it hears in its words and spellings. A sentence helps it
more than a bare list: of 134 doubtful commands it understood 72 without, 81 with a list, 86 with this sentence.
Requests with their verbs help with 90, but then it hears requests in what is none: they are told only where what comes
of it is held against the sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from schemas.template import Template
from voice.services.hearing import Hint

#: Letters of one name that are told.
_MAX_CHARS = 60
#: Letters of all requests, some 70 tokens: the names must have room behind them.
_MAX_REQUESTS = 240


def hint_of(names: Sequence[str], templates: Iterable[Template]) -> Hint:
    """What may be said: the names, and what can be asked for."""
    said = sentence_with(names)
    return Hint(names=said, requests=f"{requests_of(templates)} {said}".strip())


def requests_of(templates: Iterable[Template]) -> str:
    """The shortest words for all that can be asked for, one after the other."""
    asked = dict.fromkeys(words for template in templates for words in template.listen_for or template.nouns)
    said = [f"{words[:1].upper()}{words[1:]}." for words in asked]
    ends = accumulate(len(sentence) + 1 for sentence in said)
    return " ".join(sentence for sentence, end in zip(said, ends, strict=True) if end <= _MAX_REQUESTS)


def sentence_with(names: Sequence[str]) -> str:
    """The names, as they are spoken, likeliest first, in one sentence; an empty text where there are none."""
    return f"The files are the {', the '.join(name[:_MAX_CHARS] for name in names)}." if names else ""
