# pyright: reportMissingImports=false
"""Learns what free requests mean (the second half of `schemas/request_model.py`); takes 25 minutes on two cores.

Needs the packages of ``requirements/train.lock``, and `train_requests.py` to have run. The same corpora give the same
adapters, as far as the machine adds up in the same order.

Usage: python -m benchmarks.train_meaning
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import minilm
from benchmarks.lessons import LEARNED, LEARNED_TOLD, Kind, Sample, misheard, samples, told
from infra.template_catalog import shipped_folder
from voice.bot.requests import MEANING, load, packaged_folder
from voice.services.sentence_encoder import SIGNS, VOCABULARY
from voice.services.wordpiece import WordPieces

#: Passes over all sentences, sentences of a step, the highest rate, and the share of steps in which it grows to that.
EPOCHS, BATCH, RATE, WARM = 5, 32, 1e-3, 0.05
#: How much a sentence counts; of pieces of commands only a share is taken.
COUNTS = {Kind.COMMAND: 1.5, Kind.NOTHING: 1.0, Kind.PIECE: 0.5, Kind.MISHEARD: 0.5}
PIECES = 0.12
#: The share of certainty that is left to the other labels.
_DOUBT = 0.05
#: Batches that are taken from sentences of like length.
_BUCKET = 16


def lessons() -> list[Sample]:
    """All that is taught: each sentence once, and of pieces of commands some."""
    rng = np.random.default_rng(1)
    every = [sample for which in LEARNED for sample in samples(which)]
    every += [sample for which in LEARNED_TOLD for sample in told(which)]
    every += misheard()
    taken = (sample for sample in every if sample.kind is not Kind.PIECE or rng.random() < PIECES)
    found: dict[tuple[tuple[str, ...], str], Sample] = {}
    for sample in taken:
        if sample.words:
            found.setdefault((sample.words, sample.label), sample)
    return list(found.values())


def batches(rows: Sequence[Sequence[int]], rng: np.random.Generator) -> list[list[int]]:
    """One pass: numbers of sentences in batches of like length, in no order."""
    order, found = rng.permutation(len(rows)), list[list[int]]()
    for start in range(0, len(order), BATCH * _BUCKET):
        alike = sorted(order[start : start + BATCH * _BUCKET].tolist(), key=lambda row: len(rows[row]))
        found += [alike[at : at + BATCH] for at in range(0, len(alike) - BATCH + 1, BATCH)]
    rng.shuffle(found)
    return found


def learn(taught: Sequence[Sample], labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Adapters, signs and regression, as they are kept."""
    folder = packaged_folder()
    pieces = WordPieces.read(folder / VOCABULARY, SIGNS)
    signs = jnp.array([pieces.number(token) for token in SIGNS.values()])
    rows = [pieces.encode(sample.words) for sample in taught]
    meant = np.array([labels.index(sample.label) for sample in taught], np.int32)
    weights = np.array([COUNTS[sample.kind] for sample in taught], np.float32)
    base = minilm.frozen(folder)
    learned = minilm.beginning(base, pieces, len(labels))
    steps = EPOCHS * (len(rows) // BATCH)
    rates = optax.warmup_cosine_decay_schedule(0, RATE, int(WARM * steps), steps, RATE / 50)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rates, weight_decay=0.01))
    state = optimizer.init(learned)

    @jax.jit
    def step(base, learned, state, tokens, real, meant, weights, key):  # noqa: ANN001, ANN202 - arrays of JAX
        def loss(learned):  # noqa: ANN001, ANN202
            sure = jax.nn.log_softmax(minilm.scores(base, learned, signs, tokens, real, key))
            right = jnp.take_along_axis(sure, meant[:, None], 1)[:, 0]
            return -(weights * ((1 - _DOUBT) * right + _DOUBT * sure.mean(-1))).mean()

        lost, slope = jax.value_and_grad(loss)(learned)
        change, state = optimizer.update(slope, state, learned)
        return optax.apply_updates(learned, change), state, lost

    rng, key = np.random.default_rng(0), jax.random.key(0)
    for epoch in range(EPOCHS):
        begin, lost = time.monotonic(), list[float]()
        for part in batches(rows, rng):
            key, dropped = jax.random.split(key)
            tokens, real = minilm.batch([rows[row] for row in part])
            learned, state, one = step(base, learned, state, tokens, real, meant[part], weights[part], dropped)
            lost.append(float(one))
        print(f"{epoch + 1} of {EPOCHS}: loss {np.mean(lost):.4f}, {time.monotonic() - begin:.0f} s", flush=True)
    return minilm.kept(learned)


def main() -> None:
    """Learn and keep it."""
    taught, words = lessons(), load(None)
    print(f"{len(taught)} sentences", flush=True)
    found = learn(taught, words.labels)
    found |= {"labels": np.array(words.labels), "marks": np.array([words.marks[label] for label in words.labels])}
    path = shipped_folder() / MEANING
    np.savez_compressed(path, allow_pickle=False, **found)  # pyright: ignore[reportArgumentType]
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
