"""What the better recogniser is told before it listens."""

from __future__ import annotations

from infra.template_catalog import load_catalog
from schemas.template import Template
from voice.bot.hints import hint_of, sentence_with


def test_names_are_told_in_a_sentence() -> None:
    """An empty store has nothing to tell, and a name may be as long as it likes."""
    assert sentence_with(["annual report", "error log"]) == "The files are the annual report, the error log."
    assert sentence_with([]) == ""
    assert len(sentence_with(["x" * 10_000])) < 100


def test_requests_are_told_in_their_shortest_words_and_before_the_names() -> None:
    """A template that says nothing to listen for is told by its nouns; however many there are, names have room."""
    shipped = load_catalog().templates
    said = hint_of(["annual report"], shipped.values())
    assert said.names == "The files are the annual report."
    assert said.requests.endswith(" The files are the annual report.")
    assert {"Zip it.", "Checksum.", "Slow audit."} <= set(said.requests.replace(". ", ".\n").split("\n"))
    own = shipped["checksum"].model_copy(update={"listen_for": (), "nouns": ("finger print",)})
    assert hint_of([], [own]).requests == "Finger print."
    assert len(hint_of([], _many(own)).requests) <= 240


def _many(template: Template) -> list[Template]:
    return [template.model_copy(update={"nouns": (f"noun {number}",)}) for number in range(1_000)]
