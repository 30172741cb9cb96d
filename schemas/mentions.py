"""Where names of objects and folders stand in what was said.

Owns the choice among spans that overlap: the surest first, and of two that are as sure the longer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.lexicon import Found, Lexicon, article
from schemas.match import MARGIN
from schemas.small_words import words
from schemas.wording import Words

#: Words that a name has at most here.
MAX_WORDS = 6
#: Say of the name beside them that it is a folder's.
FOLDER = words("folder directory")

#: Before the name of a folder.
_HOLDING = words("in under of inside within from all")


@dataclass(frozen=True, slots=True)
class Mention:
    """The words ``start:end`` are the name of `found`; a folder's with the word "folder" behind it.

    `lead` is by how much the next name is worse.
    """

    start: int
    end: int
    kind: str
    found: Found
    lead: float


def mentions(said: Sequence[str], lexicons: Mapping[str, Lexicon], least: float) -> list[Mention]:
    """The names in `said` that score at least `least`, in the order in which they were said.

    A folder counts only where it is called one: their names are common words.
    """
    places = [
        (start, end) for start in range(len(said)) for end in range(start + 1, min(start + MAX_WORDS, len(said)) + 1)
    ]
    spans = [" ".join(said[start:end]) for start, end in places]
    # The next name counts too, where it is near.
    objects, folders = (lexicons[kind].nearest(spans, least - MARGIN) for kind in ("object", "folder"))
    possible: list[Mention] = []
    for (start, end), one, other in zip(places, objects, folders, strict=True):
        if one and one[0].score >= least:
            possible.append(Mention(start, end, "object", one[0], _lead(one)))
        if other and other[0].score >= least:
            if said[end : end + 1] and said[end] in FOLDER:
                possible.append(Mention(start, end + 1, "folder", other[0], _lead(other)))
            elif start and said[start - 1] in FOLDER:
                possible.append(Mention(start - 1, end, "folder", other[0], _lead(other)))
    return _without_overlaps(possible)


def bare_folders(said: Sequence[str], lexicons: Mapping[str, Lexicon], least: float) -> list[Mention]:
    """The names of folders that are not called so, where they can be nothing else: "everything in accounts"."""
    places = [
        (start, end) for start in range(len(said)) for end in range(start + 1, min(start + MAX_WORDS, len(said)) + 1)
    ]
    found = lexicons["folder"].nearest([" ".join(said[start:end]) for start, end in places], least - MARGIN)
    known = [
        (place, names)
        for place, names in zip(places, found, strict=True)
        if names and names[0].score >= least and said[place[0] - 1 : place[0]] and said[place[0] - 1] in _HOLDING
    ]
    return _without_overlaps([Mention(*place, "folder", names[0], _lead(names)) for place, names in known])


def _without_overlaps(possible: Iterable[Mention]) -> list[Mention]:
    taken: list[Mention] = []
    for one in sorted(possible, key=lambda one: (one.kind == "object", -one.found.score, one.start - one.end)):
        if all(one.end <= other.start or one.start >= other.end for other in taken):
            taken.append(one)
    return sorted(taken, key=lambda one: one.start)


def with_names(whole: Words, named: Sequence[Mention]) -> str:
    """The text as it was said, with the names in their own spelling."""
    text = whole.text
    for one in reversed(named):
        begin, end = whole.places[one.start][0], whole.places[one.end - 1][1]
        before = article(" ".join(whole.words[one.start : one.end]))
        text = f"{text[:begin]}{before}{one.found.form}{' folder' if one.kind == 'folder' else ''}{text[end:]}"
    return text


def _lead(found: Sequence[Found]) -> float:
    return found[0].score - found[1].score if len(found) > 1 else found[0].score
