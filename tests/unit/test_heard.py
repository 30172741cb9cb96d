"""What recognisers made of the corpora, spoken by six synthetic voices: real mishearings, replayed without audio."""

from __future__ import annotations

import pytest

from benchmarks.hear_corpus import replay
from benchmarks.matching import BLIND

#: Of the near misses, which take longest since everything is tried with them, every other one.
COUNTS = replay(show=False, step=2)


@pytest.mark.parametrize("which", [name for name in COUNTS if name.endswith(" command")])
def test_misheard_commands_are_asked_back_never_mistaken(which: str) -> None:
    """No mishearing starts another task; 96 % are right, of each set in words that nothing was made for, 93 %.

    Two of the six voices are formant synthesis, which the recognisers were never trained on.
    """
    counts = COUNTS[which]
    assert counts.get("wrong", 0) == 0
    right = counts["right"] + counts.get("right_but_phrase", 0)
    assert right >= (0.93 if which.startswith("blind") else 0.96) * counts["utterances"]


def test_words_that_nothing_was_made_for_are_nearly_as_right() -> None:
    """All twelve sets that the model never saw, together."""
    counts = [found for name, found in COUNTS.items() if name.startswith("blind") and name.endswith(" command")]
    assert len(counts) == len(BLIND)
    right = sum(found["right"] + found.get("right_but_phrase", 0) for found in counts)
    assert right >= 0.965 * sum(found["utterances"] for found in counts)


def test_misheard_near_misses_and_fillers_start_nothing() -> None:
    """At most 1 % of what only sounds like a command is accepted, and of fillers nothing."""
    near = [counts for name, counts in COUNTS.items() if name.endswith(" near miss")]
    assert sum(c.get("accepted", 0) for c in near) <= 0.01 * sum(c["utterances"] for c in near)
    assert COUNTS["tune filler"]["refused"] == COUNTS["tune filler"]["utterances"]
