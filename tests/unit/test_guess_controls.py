"""Status, cancel, help and the like are understood in free words, with the kind of task that is meant."""

from __future__ import annotations

import pytest

from infra.template_catalog import load_catalog
from schemas.control import ANSWERS, CONTROL_PATTERNS
from schemas.match import Hypothesis, MatchKind
from schemas.utterance import Matcher
from voice.bot.requests import packaged_model

REMOTES = (
    "sisyphus:shop/till-errors.log",
    "sisyphus:shop/stock-list.csv",
    "sisyphus:letters/SupplierLetters.txt",
    "sisyphus:diary/leek-diary.txt",
)
MATCHER = Matcher(load_catalog(), REMOTES, packaged_model())


@pytest.mark.parametrize(
    ("said", "intent", "task"),
    [
        ("any news on the word count my boss is breathing down my neck", "status", "count-words"),
        ("did the search for that phrase finish i had the radio on", "status", "find-phrase"),
        ("call off the comparison the dog sat on the keyboard", "cancel", "compare"),
        ("the checksum isn't needed any more so cancel it", "cancel", "checksum"),
        ("quit zipping that file", "cancel", "compress"),
        ("what's going on with my tasks", "status", None),
        ("sorry i missed that the oven was beeping", "repeat", None),
        ("which tasks do you offer", "help", None),
        ("what's on the shelf in the way of files", "objects", None),
    ],
)
def test_what_is_said_of_tasks_is_understood_in_free_words(said: str, intent: str, task: str | None) -> None:
    """With the kind of task that is spoken of, if any."""
    match = MATCHER.match(said)
    assert match.best is not None
    assert (match.kind, match.intent) == (MatchKind.ACCEPT, intent), match
    assert match.best.slots == ({} if task is None else {"task": task})


@pytest.mark.parametrize(
    "said",
    [
        "i see the audit has finished",
        "what's in the news today",
        "don't stop the audit",
        "abort the launch",
    ],
)
def test_what_is_told_of_tasks_asks_for_nothing(said: str) -> None:
    """Statements, and what others do."""
    assert MATCHER.match(said).kind is not MatchKind.ACCEPT


def test_a_kind_of_task_may_be_named_by_what_it_does() -> None:
    """ "Zipping that folder" is the folder compression, though "zipping" alone is that of a file."""
    for said, kind in (
        ("are you finished zipping that folder", "compress-folder"),
        ("has the folder finished zipping yet", "compress-folder"),
        ("is the zipping finished", "compress"),
    ):
        match = MATCHER.match(said)
        assert match.best is not None
        assert (match.intent, match.best.slots) == ("status", {"task": kind}), said


def test_plain_words_name_no_kind_of_task() -> None:
    """ "Big" is said of more than how long a text is."""
    match = MATCHER.match([Hypothesis(text="Cancel that plea my big to the wrong one.", log_prob=-0.5)])
    assert match.best is None or match.best.slots == {}


def test_what_stands_in_a_table_is_believed_before_the_model() -> None:
    """ "How does it work" is like much that asks for nothing, and word for word what asks for help."""
    forms = {(intent, form) for intent, several in CONTROL_PATTERNS.items() for form in several if "{" not in form}
    doubted = [
        form for intent, form in forms if intent not in ANSWERS and MATCHER.match(form).kind is not MatchKind.ACCEPT
    ]
    assert not doubted
