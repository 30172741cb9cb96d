"""What a sentence means, as a vector: MiniLM on CTranslate2, int8, with the adapters that were learned for requests.

The pinned weights are those of a general encoder of sentences. What makes it tell requests apart are low-rank adapters
(Hu et al., "LoRA", ICLR 2022), less than a hundredth of its size, that are added to them once, when it is loaded; that
takes less time than reading a prepared file would save. Blocking: two milliseconds a sentence.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from schemas.request_model import FOLDER, NUMBER, OBJECT, Float32
from voice.services.wordpiece import WordPieces

#: Of MiniLM-L6-H384: layers, attention heads, size of a vector.
LAYERS, HEADS, SIZE = 6, 12, 384
#: The files of the model.
WEIGHTS, VOCABULARY = "model.safetensors", "vocab.txt"
#: The signs for names and numbers, and the tokens that the vocabulary keeps free.
SIGNS = {OBJECT: "[unused1]", FOLDER: "[unused2]", NUMBER: "[unused3]"}
#: The linear maps of a layer, by the names of adapters, as the file names them.
MAPS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}
#: The mean of all vectors is short beside the first one; this makes them weigh alike.
MEAN_SCALE = 4.0
#: Sentences whose vectors are kept, since rules and model ask for the same one.
_KEPT = 256


class _Output(Protocol):
    last_hidden_state: Float32


class _Engine(Protocol):
    def forward_batch(self, inputs: list[list[int]]) -> _Output: ...


class Tensors:
    """The tensors of a safetensors file, mapped, not read."""

    def __init__(self, path: Path) -> None:
        self._bytes = np.memmap(path, np.uint8, "r")
        length = int(self._bytes[:8].view("<u8")[0])
        self._start = 8 + length
        self._head: dict[str, Any] = json.loads(self._bytes[8 : self._start].tobytes())

    def __getitem__(self, name: str) -> Float32:
        """A copy of a tensor. Raises KeyError where there is none."""
        begin, end = self._head[name]["data_offsets"]
        part = self._bytes[self._start + begin : self._start + end]
        return part.view("<f4").reshape(self._head[name]["shape"]).copy()


class SentenceEncoder:
    """MiniLM with adapters. Safe to call from several threads.

    Args:
        folder: holds the weights and the vocabulary, proven by `weights`.
        adapters: "signs" of shape (3, SIZE), the vectors of `SIGNS`; for each map of each layer "0.query.a" of shape
            (size of what goes in, rank) and "0.query.b" of shape (rank, size of what comes out).

    Raises:
        ModuleNotFoundError: the package ctranslate2 is not installed.
    """

    def __init__(self, folder: Path, adapters: Mapping[str, npt.NDArray[np.floating[Any]]]) -> None:
        self._pieces = WordPieces.read(folder / VOCABULARY, SIGNS)
        spec = _specification(Tensors(folder / WEIGHTS), adapters, self._pieces)
        engine = cast("Any", importlib.import_module("ctranslate2")).Encoder
        with TemporaryDirectory(prefix="sisyphus-encoder-") as made:
            spec.save(made)
            # One thread: of a sentence there is so little to do that a second one only waits.
            self._engine = cast("_Engine", engine(made, device="cpu", compute_type="int8", intra_threads=1))
        self._encoded = lru_cache(maxsize=_KEPT)(self._encode)

    def __call__(self, words: tuple[str, ...]) -> Float32:
        """The vector of a sentence of shape (2 * SIZE): the mean of its tokens, and its first one."""
        return self._encoded(words)

    def _encode(self, words: tuple[str, ...]) -> Float32:
        found = np.array(self._engine.forward_batch([self._pieces.encode(words)]).last_hidden_state)[0]
        return np.concatenate([found.mean(axis=0) * MEAN_SCALE, found[0]]).astype(np.float32)


def _specification(
    tensors: Tensors, adapters: Mapping[str, npt.NDArray[np.floating[Any]]], pieces: WordPieces
) -> Any:  # of a package without types
    specs = importlib.import_module("ctranslate2.specs")
    parts = importlib.import_module("ctranslate2.specs.common_spec")
    encoder = specs.TransformerEncoderSpec(
        LAYERS,
        HEADS,
        pre_norm=False,
        activation=parts.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=parts.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    words = tensors["embeddings.word_embeddings.weight"]
    words[[pieces.number(token) for token in SIGNS.values()]] = adapters["signs"]
    encoder.embeddings[0].weight = words
    encoder.embeddings[1].weight = tensors["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = tensors["embeddings.position_embeddings.weight"]
    _normed(encoder.layernorm_embedding, tensors, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        maps = {name: _adapted(tensors, adapters, number, name) for name in MAPS}
        joined = [np.concatenate(each) for each in zip(maps["query"], maps["key"], maps["value"], strict=True)]
        targets = (*layer.self_attention.linear, layer.ffn.linear_0, layer.ffn.linear_1)
        for target, (weight, bias) in zip(targets, (joined, maps["out"], maps["up"], maps["down"]), strict=True):
            target.weight, target.bias = weight, bias
        _normed(layer.self_attention.layer_norm, tensors, f"encoder.layer.{number}.attention.output.LayerNorm")
        _normed(layer.ffn.layer_norm, tensors, f"encoder.layer.{number}.output.LayerNorm")
    whole = specs.TransformerEncoderModelSpec(encoder)
    whole.register_vocabulary(pieces.tokens)
    whole.config.layer_norm_epsilon = 1e-12
    whole.validate()
    whole.optimize(quantization="int8")
    return whole


def _normed(target: Any, tensors: Tensors, name: str) -> None:
    target.gamma, target.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _adapted(
    tensors: Tensors, adapters: Mapping[str, npt.NDArray[np.floating[Any]]], layer: int, name: str
) -> tuple[Float32, Float32]:
    """Weight and bias of one map, its adapter added."""
    stem = f"encoder.layer.{layer}.{MAPS[name]}"
    a, b = (adapters[f"{layer}.{name}.{half}"].astype(np.float32) for half in "ab")
    return tensors[f"{stem}.weight"] + np.dot(a, b).T, tensors[f"{stem}.bias"]
