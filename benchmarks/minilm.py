# pyright: reportMissingImports=false
"""MiniLM with adapters as it is trained: the same function as `voice/services/sentence_encoder.py` runs, in JAX.

Only the adapters, the vectors of the signs and the regression on top are learned. Needs the packages of
``requirements/train.lock``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from voice.services.sentence_encoder import HEADS, LAYERS, MAPS, MEAN_SCALE, SIGNS, SIZE, WEIGHTS, Tensors
from voice.services.wordpiece import MAX_TOKENS, WordPieces

#: Rank of an adapter: more learned the corpora better, and new sentences no better.
RANK = 8
#: How strongly an adapter acts, beside its own weights; it is part of the weights that are kept.
_STRENGTH = 2.0
#: Share of what is left out at random while it learns.
_DROPPED = 0.1
#: The words whose vectors the signs begin with.
_BEGIN = ("document", "folder", "ten")
#: Sentences are filled up to a multiple of this many tokens, so that few shapes are compiled.
_STEP = 8


def frozen(folder: Path) -> dict[str, jax.Array]:
    """The weights that are not learned, by short names."""
    tensors = Tensors(folder / WEIGHTS)
    places = tensors["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    base = {
        "words": tensors["embeddings.word_embeddings.weight"],
        "places": places + tensors["embeddings.token_type_embeddings.weight"][0],
    }
    norms = {"start": "embeddings.LayerNorm"}
    for layer in range(LAYERS):
        stem = f"encoder.layer.{layer}"
        norms |= {f"{layer}.heed": f"{stem}.attention.output.LayerNorm", f"{layer}.think": f"{stem}.output.LayerNorm"}
        for name, inside in MAPS.items():
            base[f"{layer}.{name}.w"] = tensors[f"{stem}.{inside}.weight"].T
            base[f"{layer}.{name}.c"] = tensors[f"{stem}.{inside}.bias"]
    for name, inside in norms.items():
        base[f"{name}.s"], base[f"{name}.t"] = tensors[f"{inside}.weight"], tensors[f"{inside}.bias"]
    return {name: jnp.asarray(each) for name, each in base.items()}


def beginning(base: dict[str, jax.Array], pieces: WordPieces, labels: int) -> dict[str, jax.Array]:
    """Adapters that change nothing yet, and a regression that knows nothing yet."""
    rng = np.random.default_rng(0)
    learned: dict[str, jax.Array] = {}
    for layer in range(LAYERS):
        for name in MAPS:
            inner, outer = base[f"{layer}.{name}.w"].shape
            learned[f"{layer}.{name}.a"] = jnp.asarray(rng.normal(0, inner**-0.5, (inner, RANK)), jnp.float32)
            learned[f"{layer}.{name}.b"] = jnp.zeros((RANK, outer), jnp.float32)
    learned["signs"] = base["words"][jnp.array([pieces.number(word) for word in _BEGIN])]
    learned["head"], learned["bias"] = jnp.zeros((2 * SIZE, labels)), jnp.zeros(labels)
    return learned


def again(adapters: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """What was `kept`, to go on from there."""
    return {
        name: jnp.asarray(each, jnp.float32) / (_STRENGTH if name.endswith(".b") else 1.0)
        for name, each in adapters.items()
    }


def kept(learned: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    """What is written to the file."""
    return {
        name: np.asarray(each * (_STRENGTH if name.endswith(".b") else 1.0), np.float16)
        for name, each in learned.items()
    }


def batch(sentences: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of shape (sentences, tokens), and where they are real."""
    width = -(-max(len(each) for each in sentences) // _STEP) * _STEP
    tokens, real = np.zeros((len(sentences), width), np.int32), np.zeros((len(sentences), width), bool)
    for row, each in enumerate(sentences):
        tokens[row, : len(each)], real[row, : len(each)] = each, True
    return tokens, real


def scores(base, learned, signs, tokens, real, key=None):  # noqa: ANN001, ANN201 - arrays of JAX, all of them
    """The scores of the labels for each sentence; with a key, something is left out at random."""
    keys = iter(jax.random.split(key, 2 * LAYERS + 2)) if key is not None else None
    x = base["words"][tokens]
    for number in range(len(SIGNS)):
        x = jnp.where((tokens == signs[number])[..., None], learned["signs"][number], x)
    x = _dropped(_normed(x + base["places"][: tokens.shape[1]], base, "start"), keys)
    away = jnp.where(real, 0, -1e9)[:, None, None, :]
    for layer in range(LAYERS):
        x = _layer(x, away, base, learned, layer, keys)
    mean = (x * real[..., None]).sum(1) / real.sum(1, keepdims=True)
    seen = _dropped(jnp.concatenate([mean * MEAN_SCALE, x[:, 0]], -1), keys)
    return seen @ learned["head"] + learned["bias"]


def _layer(x, away, base, learned, layer, keys):  # noqa: ANN001, ANN202
    rows, width, _ = x.shape

    def mapped(y, name):  # noqa: ANN001, ANN202
        stem = f"{layer}.{name}"
        added = (y @ learned[f"{stem}.a"]) @ learned[f"{stem}.b"]
        return y @ base[f"{stem}.w"] + base[f"{stem}.c"] + _STRENGTH * added

    def parted(name):  # noqa: ANN001, ANN202
        return mapped(x, name).reshape(rows, width, HEADS, SIZE // HEADS).transpose(0, 2, 1, 3)

    query, key, value = (parted(name) for name in ("query", "key", "value"))
    heed = jax.nn.softmax(query @ key.transpose(0, 1, 3, 2) / np.sqrt(SIZE // HEADS) + away, -1)
    seen = (heed @ value).transpose(0, 2, 1, 3).reshape(rows, width, SIZE)
    x = _normed(x + _dropped(mapped(seen, "out"), keys), base, f"{layer}.heed")
    thought = jax.nn.gelu(mapped(x, "up"), approximate=False)
    return _normed(x + _dropped(mapped(thought, "down"), keys), base, f"{layer}.think")


def _normed(x, base, name):  # noqa: ANN001, ANN202
    mean = x.mean(-1, keepdims=True)
    spread = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(spread + 1e-12) * base[f"{name}.s"] + base[f"{name}.t"]


def _dropped(x, keys):  # noqa: ANN001, ANN202
    if keys is None:
        return x
    return jnp.where(jax.random.bernoulli(next(keys), 1 - _DROPPED, x.shape), x / (1 - _DROPPED), 0)
