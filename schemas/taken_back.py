"""What was said, without what was taken back in the same breath and without the folder of a file that is named."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.corrections import corrected
from schemas.folder_places import without_places
from schemas.lexicon import Lexicon
from schemas.retracing import retraced
from schemas.wording import Words


def as_meant(whole: Words, lexicons: Mapping[str, Lexicon]) -> Words:
    """The words that count; `whole` itself where all do, otherwise its `origin` tells what was said."""
    return without_places(retraced(corrected(whole, lexicons)), lexicons)
