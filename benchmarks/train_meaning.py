# pyright: reportMissingImports=false
"""Learns what free requests mean (the second half of `schemas/request_model.py`).

Needs the packages of ``requirements/train.lock``, and `train_requests.py` to have run. From nothing it takes 25 minutes
on two fast cores, and an hour and a half on slow ones; the same corpora give the same adapters, as far as the machine
adds up in the same order. With the name of a set it goes on from the adapters that there are: that set and those behind
it are new, and as many other sentences are rehearsed with them, so that these are not forgotten (Robins,
"Catastrophic forgetting, rehearsal and pseudorehearsal", Connection Science 7, 1995).

Usage: python -m benchmarks.train_meaning [SET]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import minilm
from benchmarks.lessons import LEARNED, LEARNED_TOLD, Kind, Sample, misheard, samples, told, whole
from infra.template_catalog import shipped_folder
from voice.bot.requests import MEANING, load, packaged_folder
from voice.services.sentence_encoder import SIGNS, VOCABULARY
from voice.services.wordpiece import WordPieces

#: Passes over all sentences, sentences of a step, the highest rate, and the share of steps in which it grows to that.
EPOCHS, BATCH, RATE, WARM = 5, 32, 1e-3, 0.05
#: The same of who goes on: passes and rate, and the share of the other sentences that is rehearsed.
EPOCHS_MORE, RATE_MORE, REHEARSED = 2, 4e-4, 0.25
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
    every += misheard(LEARNED + LEARNED_TOLD)
    return _once(every, rng)


def more_lessons(first: str) -> list[Sample]:
    """All of the sets from `first` on, and a share of the sentences of the others."""
    rng = np.random.default_rng(1)
    new, known = LEARNED[LEARNED.index(first) :], LEARNED[: LEARNED.index(first)]
    every = [sample for which in new for sample in samples(which)] + list(misheard(new))
    old = [sample for which in known for sample in whole(which)]
    old += [sample for which in LEARNED_TOLD for sample in told(which)]
    old += misheard(known + LEARNED_TOLD)
    return _once(every + [sample for sample in old if rng.random() < REHEARSED], rng)


def _once(every: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
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


def learn(
    taught: Sequence[Sample], labels: Sequence[str], known: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Adapters, signs and regression, as they are kept; those that are `known` learn on."""
    folder = packaged_folder()
    pieces = WordPieces.read(folder / VOCABULARY, SIGNS)
    signs = jnp.array([pieces.number(token) for token in SIGNS.values()])
    rows = [pieces.encode(sample.words) for sample in taught]
    meant = np.array([labels.index(sample.label) for sample in taught], np.int32)
    weights = np.array([COUNTS[sample.kind] for sample in taught], np.float32)
    base = minilm.frozen(folder)
    learned = minilm.again(known) if known else minilm.beginning(base, pieces, len(labels))
    epochs, rate = (EPOCHS_MORE, RATE_MORE) if known else (EPOCHS, RATE)
    steps = epochs * (len(rows) // BATCH)
    rates = optax.warmup_cosine_decay_schedule(0, rate, int(WARM * steps), steps, rate / 50)
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
    for epoch in range(epochs):
        begin, lost = time.monotonic(), list[float]()
        for part in batches(rows, rng):
            key, dropped = jax.random.split(key)
            tokens, real = minilm.batch([rows[row] for row in part])
            learned, state, one = step(base, learned, state, tokens, real, meant[part], weights[part], dropped)
            lost.append(float(one))
        print(f"{epoch + 1} of {epochs}: loss {np.mean(lost):.4f}, {time.monotonic() - begin:.0f} s", flush=True)
    return minilm.kept(learned)


def main() -> None:
    """Learn and keep it."""
    path, words, known = shipped_folder() / MEANING, load(None), None
    if sys.argv[1:]:
        if sys.argv[1] not in LEARNED:
            sys.exit(f"{sys.argv[1]!r} is no set of commands that is learned; these are: {', '.join(LEARNED)}")
        taught = more_lessons(sys.argv[1])
        with np.load(path) as file:
            known = {name: file[name] for name in file.files if name not in {"labels", "marks"}}
            assert list(file["labels"]) == list(words.labels), "the labels changed: learn it from nothing"
    else:
        taught = lessons()
    print(f"{len(taught)} sentences", flush=True)
    found = learn(taught, words.labels, known)
    found |= {"labels": np.array(words.labels), "marks": np.array([words.marks[label] for label in words.labels])}
    np.savez_compressed(path, allow_pickle=False, **found)  # pyright: ignore[reportArgumentType]
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
