"""Who says in which folder a file is names the file: "the night log from the wards", "the fees over in accounts"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from schemas.layout import MAX_WORDS
from schemas.lexicon import Lexicon, bare
from schemas.mentions import FOLDER
from schemas.mentions import MAX_WORDS as MAX_NAME_WORDS
from schemas.small_words import ARTICLES, words
from schemas.wording import Words, heard

_HOLDING = words("in from under inside within of")
#: May stand before them: "over in", "down in".
_WHERE = words("over down up out back somewhere that is")
#: Words that the name of a folder has at most.
_MAX_FOLDER_WORDS = 4


def without_places(whole: Words, lexicons: Mapping[str, Lexicon]) -> Words:
    """The same without the folders that are said right behind files of theirs, where the file is the only one so named.

    It is `whole` itself where there are none; otherwise its `origin` tells what was said.
    """
    said, text = whole.words, whole.text
    if len(said) > MAX_WORDS:
        return whole
    for place in range(len(said) - 1, 0, -1):
        if said[place] in _HOLDING and (end := _ends_behind(said, place, lexicons)) is not None:
            begin = place
            while said[begin - 1] in _WHERE:
                begin -= 1
            behind = text[whole.places[end - 1][1] :]
            text = f"{text[: whole.places[begin - 1][1]]}{behind}"
    return whole if text == whole.text else replace(heard(text), origin=whole.origin or whole.text)


def _ends_behind(said: Sequence[str], place: int, lexicons: Mapping[str, Lexicon]) -> int | None:
    """Where the name of a folder ends that begins behind `place`, if a file of that folder is named before it."""
    start = place + 1
    while said[start : start + 1] and said[start] in ARTICLES:
        start += 1
    for end in range(min(start + _MAX_FOLDER_WORDS, len(said)), start, -1):
        folders = lexicons["folder"].exactly(" ".join(said[start:end]))
        if folders and _is_of(said, place, tuple(folders), lexicons["object"]):
            return end + (said[end : end + 1] != () and said[end] in FOLDER)
    return None


def _is_of(said: Sequence[str], place: int, folders: tuple[str, ...], objects: Lexicon) -> bool:
    """Whether the words before `place` name one file, and it is in one of the folders."""
    end = place
    while end and said[end - 1] in _WHERE:
        end -= 1
    for start in range(max(0, end - MAX_NAME_WORDS), end):
        found = objects.exactly(bare(" ".join(said[start:end])))
        if found:
            return len(found) == 1 and found[0].startswith(folders)
    return False
