"""Names of objects and folders as people say them: ``reports/annual-report.txt`` is "annual report".

Owns which spoken forms a name has, and how two names that sound the same are told apart. No name can break it: what
cannot be said (emoji, machine-made ids, another script) has no form, and the work per name is bounded.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from schemas.number_words import is_number_word
from schemas.wording import plain

#: Longest part of a name that is read, and most words that are said of it.
MAX_NAME_CHARS, MAX_NAME_WORDS = 160, 8
#: Longest extension that counts as one, in characters.
_EXTENSION_CHARS = 5
#: Words that a name keeps when its number is left out.
_LEAST_WORDS = 2
#: Where the results of tasks go; they are found by their task, not by one of many equal names.
RESULTS_FOLDER = "results/"

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LETTERS_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
#: A UUID, a hash, or a long run in which letters and digits come by turns; "QuarterlySalesReport2024" is a name.
_MACHINE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{12,}|(?=[A-Za-z0-9]{20})(?:[A-Za-z]+[0-9]+){3}")
#: How extensions are said where they tell two names apart.
_EXTENSIONS = {
    "txt": "text",
    "md": "markdown",
    "csv": "table",
    "xlsx": "spreadsheet",
    "gz": "archive",
    "tar": "archive",
    "zip": "archive",
    "jpg": "picture",
    "png": "picture",
    "doc": "document",
    "docx": "document",
    "json": "jason",
    "log": "log",
    "tsv": "table",
    "xls": "spreadsheet",
    "ods": "spreadsheet",
    "jpeg": "picture",
    "wav": "recording",
    "mp3": "recording",
}


@dataclass(frozen=True, slots=True)
class SpokenName:
    """How one object or folder is called.

    Attributes:
        remote: what is meant, e.g. ``sisyphus:reports/annual-report.txt``.
        spoken: how the cluster says it; tells it apart from its namesakes where that is possible.
        forms: how people may say it, in plain spelling; the first is the shortest.
    """

    remote: str
    spoken: str
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    remote: str
    base: str
    extension: str
    folders: tuple[str, ...]


def spoken_name(key: str) -> str:
    """The shortest spoken form of a key or remote; empty if it cannot be said."""
    return _parts(key).base


def object_names(remotes: Iterable[str]) -> tuple[SpokenName, ...]:
    """The spoken names of objects, in the order of their remotes; what cannot be said is left out.

    Namesakes get, beside the form that they share, forms with their kind of file or their folder. The number at the end
    of a name need not be said where there is no other one: "price list 2024" is "price list".
    """
    groups: dict[str, list[_Parts]] = defaultdict(list)
    for remote in remotes:
        parts = _parts(remote)
        if parts.base and not _key(remote).startswith((RESULTS_FOLDER, ".sisyphus/")):
            groups[parts.base].append(parts)
    short = _counted(_without_number(base) for base in groups)
    names = [name for group in groups.values() for name in _told_apart(group, short)]
    return tuple(sorted(names, key=lambda name: name.remote))


def folder_names(remotes: Iterable[str]) -> tuple[SpokenName, ...]:
    """The spoken names of the folders that hold `remotes`; every remote ends in ``/``."""
    folders: set[str] = set()
    for remote in remotes:
        bucket, colon, key = remote.rpartition(":")
        while "/" in key[:-1]:
            key = key[:-1].rpartition("/")[0] + "/"
            if f"{bucket}{colon}{key}" in folders:
                break
            folders.add(f"{bucket}{colon}{key}")
    return object_names(folders)


def _told_apart(group: list[_Parts], short: Mapping[object, int]) -> Iterable[SpokenName]:
    if len(group) == 1:
        (only,) = group
        extra = list(_with_kind(only))
        if only.folders:
            extra += _in_folder(only.base, only.folders[-1])[1]
        if short[shorter := _without_number(only.base)] == 1 and shorter != only.base:
            extra += [shorter, *_with_kind(replace(only, base=shorter))]
        yield SpokenName(only.remote, only.base, tuple(dict.fromkeys([only.base, *extra])))
        return
    by_kind = _counted(parts.extension for parts in group)
    by_folder = _counted(parts.folders[-1:] for parts in group)
    for parts in group:
        spoken, extra = parts.base, list(_with_kind(parts))
        if parts.folders and by_folder[parts.folders[-1:]] == 1:
            spoken, more = _in_folder(parts.base, parts.folders[-1])
            extra += more
        elif parts.extension and by_kind[parts.extension] == 1:
            spoken = f"{parts.base} {parts.extension}"
        elif parts.folders:
            spoken, more = _in_folder(parts.base, " ".join(parts.folders))
            extra += more
        yield SpokenName(parts.remote, spoken, tuple(dict.fromkeys([parts.base, *extra])))


def _without_number(base: str) -> str:
    """The name without the number at its end, if two words or more are left."""
    words = base.split()
    while len(words) > _LEAST_WORDS and is_number_word(words[-1]):
        words.pop()
    return " ".join(words)


def _with_kind(parts: _Parts) -> tuple[str, ...]:
    if not parts.extension:
        return ()
    return (f"{parts.base} {parts.extension}",)


def _in_folder(base: str, folder: str) -> tuple[str, list[str]]:
    """How it is said, and how else people may say it."""
    spoken = f"{base} in {folder}"
    return spoken, [spoken, f"{folder} {base}", f"{base} from {folder}", f"{base} in the {folder} folder"]


def _counted(values: Iterable[object]) -> Mapping[object, int]:
    counts: dict[object, int] = defaultdict(int)
    for value in values:
        counts[value] += 1
    return counts


def _key(remote: str) -> str:
    """The key of ``bucket:key`` or a URL; a bare key stays as it is."""
    if "://" in remote:
        return remote.partition("://")[2].partition("/")[2]
    return remote.partition(":")[2] if ":" in remote else remote


@lru_cache(maxsize=65_536)
def _parts(remote: str) -> _Parts:
    *folders, name = _key(remote).rstrip("/").split("/")[-4:]
    if _MACHINE_ID.search(name[:MAX_NAME_CHARS]):
        return _Parts(remote, "", "", ())
    stem, dot, extension = name.rpartition(".")
    is_file = not remote.endswith("/")
    if not (is_file and dot and stem.strip(".") and extension.isalnum() and len(extension) <= _EXTENSION_CHARS):
        stem, extension = name, ""
    if stem.endswith(".tar"):
        stem = stem.removesuffix(".tar")
    spoken_folders = tuple(words for folder in folders if (words := _said(folder)))
    return _Parts(remote, _said(stem), _said_extension(extension), spoken_folders)


def _said_extension(extension: str) -> str:
    extension = extension.lower()
    return _EXTENSIONS.get(extension) or _said(" ".join(extension))


@lru_cache(maxsize=65_536)
def _said(part: str) -> str:
    spaced = _LETTERS_DIGITS.sub(" ", _CAMEL.sub(" ", part[:MAX_NAME_CHARS]))
    return " ".join(plain(spaced.replace("'", "")).split()[:MAX_NAME_WORDS])
