"""The model of what people mean by their sentences, as it ships with the templates."""

from __future__ import annotations

from functools import cache

import numpy as np

from infra.template_catalog import shipped_folder
from schemas.phrase_model import PhraseModel
from schemas.request_model import RequestModel

FILE = "requests.npz"
#: Weights are kept as whole steps of this size.
STEP = 1 / 16


@cache
def request_model() -> RequestModel:
    """Read it once; `benchmarks/train_requests.py` made it."""
    with np.load(shipped_folder() / FILE, allow_pickle=False) as kept:
        labels = tuple(str(label) for label in kept["labels"])
        marks = dict(zip(labels, kept["marks"].tolist(), strict=True))
        weights, phrases = (kept[name].astype(np.float32) * STEP for name in ("weights", "phrases"))
        return RequestModel(labels, weights, kept["bias"].astype(np.float32), marks, PhraseModel(phrases))
