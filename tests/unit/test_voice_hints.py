"""What the better recogniser is told before it listens."""

from __future__ import annotations

from voice.bot.hints import sentence_with


def test_names_are_told_in_a_sentence() -> None:
    """An empty store has nothing to tell, and a name may be as long as it likes."""
    assert sentence_with(["annual report", "error log"]) == "The files are the annual report, the error log."
    assert sentence_with([]) == ""
    assert len(sentence_with(["x" * 10_000])) < 100
