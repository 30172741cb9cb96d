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
        if said[place] in _HOLDING and (found := _place(said, place, lexicons)) is not None:
            begin, end = found
            behind = text[whole.places[end - 1][1] :]
            text = f"{text[: whole.places[begin - 1][1]]}{behind}"
    return whole if text == whole.text else replace(heard(text), origin=whole.origin or whole.text)


def _place(said: Sequence[str], place: int, lexicons: Mapping[str, Lexicon]) -> tuple[int, int] | None:
    """From where to where the words say in which folder a file is, if a folder's name begins behind `place`."""
    start = place + 1
    while said[start : start + 1] and said[start] in ARTICLES:
        start += 1
    for end in range(min(start + _MAX_FOLDER_WORDS, len(said)), start, -1):
        name = " ".join(said[start:end])
        folders = lexicons["folder"].exactly(name)
        # "Find the fees in accounts" may be a search of a file of that name.
        if folders and not lexicons["object"].exactly(name):
            begin = _behind_file(said, place, tuple(folders), lexicons["object"])
            is_called_folder = said[end : end + 1] != () and said[end] in FOLDER
            return None if begin is None else (begin, end + is_called_folder)
    return None


def _behind_file(said: Sequence[str], place: int, folders: tuple[str, ...], objects: Lexicon) -> int | None:
    """Where the one file of one of the folders that is named before `place` ends, with or without "over", "down"."""
    end = place
    while True:
        for start in range(max(0, end - MAX_NAME_WORDS), end):
            if found := objects.exactly(bare(" ".join(said[start:end]))):
                return end if len(found) == 1 and found[0].startswith(folders) else None
        if not end or said[end - 1] not in _WHERE:
            return None
        end -= 1
