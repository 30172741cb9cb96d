"""The model of what people mean by their sentences, as it ships with the templates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from infra.log import get_logger
from infra.template_catalog import shipped_folder
from schemas.phrase_model import PhraseModel
from schemas.request_model import Meaning, RequestModel
from voice.services.errors import WeightsError, WeightsMissing
from voice.services.sentence_encoder import SentenceEncoder
from voice.services.weight_pins import MINILM
from voice.services.weights import Weights, package_folder

log = get_logger(__name__)

#: The half that sees words, and the one that sees meaning.
FILE, MEANING = "requests.npz", "meaning.npz"
#: What a file that is damaged, a disk that is full or a package that does not load ends in.
_BROKEN = (ImportError, OSError, RuntimeError, ValueError, KeyError, BadZipFile)
#: Weights of words are kept as whole steps of this size.
STEP = 1 / 16


def request_model(weights: Weights) -> RequestModel:
    """Load it; without the weights of the encoder, or if they do not load, it knows words alone, which is logged."""
    try:
        return load(weights.find(MINILM))
    except (WeightsError, *_BROKEN) as error:
        log.warning("free_requests_by_words_alone", reason=str(error), consequence="unusual wordings are asked back")
        return load(None)


@cache
def load(encoder: Path | None) -> RequestModel:
    """Read it once.

    Args:
        encoder: the folder of the encoder's weights; None for words alone.
    """
    with np.load(shipped_folder() / FILE, allow_pickle=False) as kept:
        labels = tuple(str(label) for label in kept["labels"])
        marks = dict(zip(labels, kept["marks"].tolist(), strict=True))
        words, phrases = (kept[name].astype(np.float32) * STEP for name in ("weights", "phrases"))
        bias = kept["bias"].astype(np.float32)
    meaning = None if encoder is None else _meaning(encoder, marks)
    return RequestModel(labels, words, bias, marks, PhraseModel(phrases), meaning)


def packaged_model() -> RequestModel:
    """The model with the encoder of the installed package, unproven: for tests and benchmarks."""
    return load(packaged_folder())


def packaged_folder() -> Path:
    """Where the package keeps the encoder. Raises WeightsMissing where it is not installed."""
    package, path = MINILM.files[0].parts[0]
    root = package_folder(package)
    if root is None:
        raise WeightsMissing(MINILM.name, [], MINILM.how)
    return (root / path).parent


def _meaning(encoder: Path, marks: Mapping[str, int]) -> Meaning:
    with np.load(shipped_folder() / MEANING, allow_pickle=False) as kept:
        learned = {name: kept[name] for name in kept.files}
    known = zip((str(label) for label in learned.pop("labels")), learned.pop("marks").tolist(), strict=True)
    if list(known) != list(marks.items()):
        raise ValueError(f"{MEANING} was learned for other templates than {FILE}: run benchmarks/train_meaning.py")
    head, bias = (learned.pop(name).astype(np.float32) for name in ("head", "bias"))
    return Meaning(SentenceEncoder(encoder, learned), head, bias)
