"""What was said, without what was taken back in the same breath and without the folder of a file that is named."""

from __future__ import annotations

import re
from collections.abc import Mapping

from schemas.corrections import corrected
from schemas.folder_places import without_places
from schemas.lexicon import Lexicon
from schemas.retracing import retraced
from schemas.wording import Words

#: "Not just this but that" takes nothing back. "Just" counts for nothing elsewhere, so the text is asked.
_NOT_ONLY = re.compile(r"\bnot (?:just|only)\b", re.IGNORECASE)


def as_meant(whole: Words, lexicons: Mapping[str, Lexicon]) -> Words:
    """The words that count; `whole` itself where all do, otherwise its `origin` tells what was said."""
    kept = whole if _NOT_ONLY.search(whole.text) else retraced(corrected(whole, lexicons))
    return without_places(kept, lexicons)
