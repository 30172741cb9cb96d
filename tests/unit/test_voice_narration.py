"""What is said about a task, event by event."""

from __future__ import annotations

import pytest

from infra.template_catalog import load_catalog
from schemas.event import EventType
from schemas.failure import Cause, Failure
from tests.doubles.session_log import SessionLog
from voice.bot.narration import Announcement, Manner, Rank, narrate, summarize, why
from voice.bot.replies import manner_of

PLAIN = Manner("the word count")


def told(log: SessionLog, after: int = 0, manner: Manner = PLAIN, *, among_others: bool = False) -> Announcement | None:
    return narrate(log.records["a"], log.log["a"][after:], manner, among_others=among_others)


@pytest.fixture
def log() -> SessionLog:
    log = SessionLog()
    log.accept("a", "count words")
    return log


def test_a_milestone_becomes_one_sentence(log: SessionLog) -> None:
    """A progress message is said with a capital and a full stop, and covers its event."""
    log.progress("a", "read 12 lines")
    found = told(log, 1)
    assert found == Announcement("a", "Read 12 lines.", Rank.PROGRESS, 2)


def test_what_says_nothing_is_not_said(log: SessionLog) -> None:
    """Items of the list and progress without a message move the page, not the voice."""
    log.todo("a")
    log.append("a", EventType.PROGRESS, {"percent": 30})
    assert told(log, 1) is None


def test_only_the_latest_milestones_of_a_burst_are_said(log: SessionLog) -> None:
    """Newer milestones supersede older ones of the same task, and cover them."""
    for row in range(20):
        log.progress("a", f"row {row}")
    found = told(log, 1)
    assert found is not None
    assert found.text == "Row 18. Row 19."
    assert found.seq == 21


def test_the_end_is_said_with_the_last_milestones_and_the_result(log: SessionLog) -> None:
    """An end that comes with unsaid milestones takes them along, in order, before the result."""
    log.progress("a", "counted")
    log.complete("a", "358")
    found = told(log, 1)
    assert found is not None
    assert found.text == "Counted. The word count is complete: 358."
    assert found.rank is Rank.DONE


def test_a_template_speaks_in_its_own_words() -> None:
    """A template's sentences are used with the spoken names that the document holds."""
    log = SessionLog()
    tags = {"template": "count-words", "spoken.source": "annual report"}
    record = log.accept("a", "count words", **tags)
    manner = manner_of(record, load_catalog().templates)
    assert manner.label == "the word count of the annual report"
    first = told(log, 0, manner)
    assert first is not None
    assert first.text == "Counting the words in the annual report."
    log.complete("a", "358")
    last = told(log, 1, manner)
    assert last is not None
    assert last.text == "The annual report has 358 words."


def test_a_failure_is_said_in_plain_words_and_first(log: SessionLog) -> None:
    """A failure names the reason in plain words, drops the milestones and outranks all else."""
    log.progress("a", "half")
    log.fail("a")
    found = told(log, 1)
    assert found is not None
    assert found.text == "The word count failed. It took longer than it may."
    assert found.rank < Rank.DONE < Rank.PROGRESS


def test_a_canceled_task_is_said_to_be_canceled(log: SessionLog) -> None:
    """A cancel that took effect is spoken from the database."""
    log.cancel("a")
    found = told(log, 1)
    assert found is not None
    assert found.text == "The word count is canceled."


def test_a_retry_takes_back_what_the_lost_attempt_had_reached(log: SessionLog) -> None:
    """After a retry the milestones of the failed attempt are not true any more and are not said."""
    log.progress("a", "pass 1")
    failure = Failure(cause=Cause.INFRASTRUCTURE, message="x").model_dump(mode="json")
    log.append("a", EventType.RETRY, {"delay_s": 1, "failure": failure})
    found = told(log, 1)
    assert found is not None
    assert found.text == "The word count had a problem. The system could not carry it out. I am trying again."


def test_a_takeover_is_worth_a_word_and_a_first_claim_is_not(log: SessionLog) -> None:
    """That another node goes on is said; that a node began is not."""
    log.append("a", EventType.CLAIMED, {"node": "n1", "takeover": False})
    assert told(log, 1) is None
    log.append("a", EventType.CLAIMED, {"node": "n2", "takeover": True})
    found = told(log, 1)
    assert found is not None
    assert found.text == "Another node goes on with the word count."


def test_among_several_tasks_a_milestone_names_its_own(log: SessionLog) -> None:
    """With other tasks running, a milestone says whose it is."""
    log.progress("a", "pass 1")
    found = told(log, 1, among_others=True)
    assert found is not None
    assert found.text == "The word count: Pass 1."


def test_a_long_message_is_cut_for_the_ear(log: SessionLog) -> None:
    """A message of a thousand words is not read out."""
    log.progress("a", "word " * 1000)
    found = told(log, 1)
    assert found is not None
    assert len(found.text) < 250
    assert found.text.endswith("and so on.")


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_its_words(cause: Cause) -> None:
    """No failure is said as a code."""
    sentence = why(Failure(cause=cause, message="internal", exit_code=3))
    assert sentence.endswith(".")
    assert "internal" not in sentence
    assert "_" not in sentence


def test_what_was_missed_is_told_as_one_summary() -> None:
    """Ends come before what still runs, failures first; many ends are counted instead of told."""
    done = Announcement("a", "A is done.", Rank.DONE, 5)
    failed = Announcement("b", "B failed.", Rank.FAILED, 5)
    running = Announcement("c", "C is at half.", Rank.PROGRESS, 5)
    assert summarize([running, done, failed]) == "While you were away: B failed. A is done. C is at half."
    many = [Announcement(str(n), f"{n} is done.", Rank.DONE, n) for n in range(9)]
    assert summarize([*many, failed]) == ("While you were away: 10 tasks ended, 1 of them with a failure. B failed.")
