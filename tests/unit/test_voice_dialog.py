"""What is done about what was said, with the real matcher over the shipped templates."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from infra.template_catalog import load_catalog
from schemas.match import Match, MatchKind, Reading, Reason
from schemas.record import TaskRecord
from schemas.utterance import Matcher
from tests.doubles.session_log import SessionLog
from voice.bot import replies
from voice.bot.dialog import QUESTION_S, Act, Cancel, Dialog, Hush, Ignore, Say, Situation, Start
from voice.bot.narration import Manner
from voice.bot.replies import manner_of

REMOTES = tuple(
    f"sisyphus:{key}"
    for key in (
        "reports/annual-report.txt",
        "reports/quarterly-report.txt",
        "logs/error-log.txt",
        "plans/budget.txt",
        "archive/budget.txt",
    )
)
CATALOG = load_catalog()
MATCHER = Matcher(CATALOG, REMOTES)


class Conversation:
    """Says things to a dialog and keeps the situation."""

    def __init__(self) -> None:
        self.log = SessionLog()
        self.now_s = 0.0
        self.was_speaking = False
        self.is_typed = False
        self.last_said = ""
        self.dialog = Dialog(CATALOG.templates, self)

    def choose(self, text: str, names: Sequence[str]) -> str | None:
        return next((n.spoken for n in MATCHER.name(text) if n.spoken in names), None)

    def start(self, task_id: str, name: str = "count-words", source: str = "annual report") -> TaskRecord:
        return self.log.accept(task_id, name, **{"template": name, "spoken.source": source})

    def hear(self, text: str) -> Act:
        match = MATCHER.match(text, answer_expected=self.dialog.awaits_answer(self.now_s))
        return self.decide(match)

    def decide(self, match: Match) -> Act:
        tasks: list[tuple[TaskRecord, Manner]] = [
            (record, manner_of(record, CATALOG.templates)) for record in self.log.records.values()
        ]
        act = self.dialog.decide(
            match,
            Situation(tasks, REMOTES, self.last_said, self.was_speaking, self.now_s, self.is_typed),
        )
        self.now_s += 3
        return act


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


def test_a_clear_request_starts_its_task(talk: Conversation) -> None:
    """A clear match acts at once, with the object that was named."""
    act = talk.hear("could you please count the words in the annual report")
    assert isinstance(act, Start)
    assert act.template.name == "count-words"
    assert act.values == {"source": "sisyphus:reports/annual-report.txt"}
    assert dict(act.spoken) == {"source": "annual report"}


def doubtful(reason: Reason = Reason.UNSURE, *others: Reading) -> Match:
    best = Reading(
        intent="count-words",
        slots={"source": REMOTES[0]},
        spoken={"source": "annual report"},
        score=75,
    )
    return Match(kind=MatchKind.DOUBTFUL, reason=reason, best=best, others=others, text="cow the birds in annual")


def test_a_doubtful_request_is_asked_back_and_a_yes_starts_it(talk: Conversation) -> None:
    """Nothing starts on a doubtful match alone; a yes starts exactly what was asked."""
    asked = talk.decide(doubtful())
    assert asked == Say("Did you mean: count the words in the annual report?", is_question=True)
    act = talk.hear("yes")
    assert isinstance(act, Start)
    assert act.values == {"source": REMOTES[0]}


def test_a_no_starts_nothing_and_ends_the_question(talk: Conversation) -> None:
    """A no settles the question; a later yes finds nothing to agree to."""
    talk.decide(doubtful())
    assert talk.hear("no") == Say(replies.SAY_IT_DIFFERENTLY)
    assert isinstance(talk.hear("yes"), Ignore)


def test_a_clear_command_replaces_the_question(talk: Conversation) -> None:
    """An unrelated clear command is done, and the old question is gone."""
    talk.decide(doubtful())
    act = talk.hear("make a checksum of the error log")
    assert isinstance(act, Start)
    assert act.template.name == "checksum"
    assert isinstance(talk.hear("yes"), Ignore)


def test_a_question_does_not_stay_open_for_ever(talk: Conversation) -> None:
    """A yes that comes too late agrees to nothing."""
    talk.decide(doubtful())
    talk.now_s += QUESTION_S + 1
    assert isinstance(talk.hear("yes"), Ignore)


def test_an_unclear_answer_is_asked_for_once_more_and_then_let_go(talk: Conversation) -> None:
    """Mumbling at a question starts nothing."""
    talk.decide(doubtful())
    assert talk.hear("purple elephants dance at midnight") == Say(replies.ASK_YES_OR_NO, is_question=True)
    assert talk.hear("purple elephants dance at midnight") == Say(replies.SAY_IT_DIFFERENTLY)
    assert isinstance(talk.hear("yes"), Ignore)


def test_between_two_meanings_both_are_named(talk: Conversation) -> None:
    """A tie is put to the user."""
    other = Reading(intent="checksum", slots={"source": REMOTES[2]}, spoken={"source": "error log"}, score=74)
    act = talk.decide(doubtful(Reason.TIE, other))
    assert isinstance(act, Say)
    assert act.text == "Did you mean: count the words in the annual report, or: make a checksum of the error log?"


def test_namesakes_are_told_apart_by_a_question(talk: Conversation) -> None:
    """Two objects of one name: the user chooses by naming one of them."""
    asked = talk.hear("count the words in the budget")
    assert isinstance(asked, Say)
    assert asked.is_question
    assert "budget in plans" in asked.text
    assert "budget in archive" in asked.text
    act = talk.hear("the budget in archive")
    assert isinstance(act, Start)
    assert act.values == {"source": "sisyphus:archive/budget.txt"}


@pytest.mark.parametrize(
    "text",
    [
        "cancel my subscription",
        "the annual report was boring",
        "count the stars in the night sky",
        "what is the weather like in paris tomorrow",
        "compare the annual report",
    ],
)
def test_what_is_no_request_gets_a_sentence_and_never_a_task(talk: Conversation, text: str) -> None:
    """Near misses and halves are answered, never guessed, and never repeated."""
    talk.start("t")
    act = talk.hear(text)
    assert isinstance(act, Say)
    assert not act.is_question or "Did you mean" in act.text
    assert text not in act.text


@pytest.mark.parametrize("text", ["No, no, no.", "Alright.", "You had.", "MCHMM", "Uh huh", "", "okay", "yeah"])
def test_fillers_are_met_with_silence(talk: Conversation, text: str) -> None:
    """What a recogniser makes of hums and coughs leads to nothing at all."""
    assert isinstance(talk.hear(text), Ignore)


def test_what_was_typed_is_always_answered(talk: Conversation) -> None:
    """A short text that somebody typed is no cough."""
    talk.is_typed = True
    assert isinstance(talk.hear("banana"), Say)


def test_a_cancel_is_read_back_and_needs_a_yes(talk: Conversation) -> None:
    """The running task is named, and only a yes stops it."""
    talk.start("old", source="error log")
    talk.log.complete("old")
    talk.start("new")
    asked = talk.hear("cancel the task")
    assert asked == Say("Do you want me to cancel the word count of the annual report?", is_question=True)
    act = talk.hear("yes please")
    assert isinstance(act, Cancel)
    assert act.tasks == ("new",)


def test_a_no_to_a_cancel_leaves_the_task_alone(talk: Conversation) -> None:
    """Reading back is worth something only if a no is honoured."""
    talk.start("t")
    talk.hear("cancel the task")
    assert talk.hear("no") == Say(replies.LEFT_ALONE)


def test_a_cancel_by_name_finds_its_kind_of_task(talk: Conversation) -> None:
    """ "Cancel the word count" means that one, whatever else runs."""
    talk.start("count")
    talk.start("sum", "checksum", "error log")
    asked = talk.hear("cancel the word count")
    assert isinstance(asked, Say)
    assert "word count of the annual report" in asked.text


def test_a_cancel_of_the_zip_may_mean_that_of_a_folder(talk: Conversation) -> None:
    """Where none of a file runs; but never what is called otherwise."""
    zip_of_a_file = Reading(intent="cancel", slots={"task": "compress"}, meaning=("cancel",), score=100.0)
    said = Match(kind=MatchKind.ACCEPT, reason=Reason.CLEAR, best=zip_of_a_file, text="cancel the zip")
    assert talk.decide(said) == Say(replies.NOTHING_TO_CANCEL)
    talk.start("sum", "checksum", "error log")
    assert talk.decide(said) == Say("There is no such task. What is running is the checksum of the error log.")
    talk.start("pack", "compress-folder", "reports")
    talk.start("count")
    asked = talk.decide(said)
    assert isinstance(asked, Say)
    assert "compress-folder" in asked.text


def test_of_what_may_be_meant_the_last_one_is_canceled(talk: Conversation) -> None:
    """ "The zip" is that of a file or that of a folder."""
    talk.start("zip", "compress", "error log")
    talk.start("pack", "compress-folder", "reports")
    asked = talk.hear("stop the zip")
    assert isinstance(asked, Say)
    assert "compress-folder" in asked.text


def test_the_status_of_the_zip_may_be_that_of_a_folder(talk: Conversation) -> None:
    """It has not ended while that runs."""
    talk.start("zip", "compress", "error log")
    talk.log.complete("zip")
    talk.start("pack", "compress-folder", "reports")
    said = talk.hear("zip status")
    assert isinstance(said, Say)
    assert "compress-folder" in said.text


@pytest.mark.parametrize("text", ["quit smoking", "give up smoking", "cancel my flight"])
def test_a_cancel_that_is_doubtful_is_about_what_runs(talk: Conversation, text: str) -> None:
    """It is not answered that nothing runs while something does."""
    talk.start("t")
    said = talk.hear(text)
    assert said in {Ignore(), Say(replies.not_understood(list(CATALOG.templates.values())))}


@pytest.mark.parametrize("text", ["scratch that", "cancel", "kill that", "withdraw my request"])
def test_a_cancel_is_a_no_to_what_may_be_started(talk: Conversation, text: str) -> None:
    """And not about another task; whether a cancel should be canceled must be told."""
    talk.start("t")
    talk.decide(doubtful())
    assert talk.hear(text) == Say(replies.SAY_IT_DIFFERENTLY)
    talk.hear("cancel the word count")
    assert talk.hear(text) == Say(replies.ASK_YES_OR_NO, is_question=True)
    assert isinstance(talk.hear("yes"), Cancel)


@pytest.mark.parametrize("text", ["cancel everything", "Stop everything.", "Kill everything!", "Cancel all tasks."])
def test_everything_can_be_canceled_at_once(talk: Conversation, text: str) -> None:
    """ "Cancel everything" names how many, and stops them all."""
    talk.start("a")
    talk.start("b")
    assert talk.hear(text) == Say("Do you want me to cancel all 2 tasks?", is_question=True)
    act = talk.hear("yes")
    assert isinstance(act, Cancel)
    assert act.tasks == ("a", "b")


def test_with_nothing_running_there_is_nothing_to_cancel(talk: Conversation) -> None:
    """A finished task cannot be canceled, and nobody is asked."""
    talk.start("t")
    talk.log.complete("t")
    assert talk.hear("cancel the task") == Say(replies.NOTHING_TO_CANCEL)


def test_stop_while_speaking_is_about_the_speech(talk: Conversation) -> None:
    """ "Stop that please" silences the bot and cancels nothing."""
    talk.start("t")
    talk.was_speaking = True
    assert isinstance(talk.hear("stop that please"), Hush)
    assert isinstance(talk.hear("yes"), Ignore)


def test_stop_in_silence_asks_about_the_running_task(talk: Conversation) -> None:
    """With nothing being said, what should stop can only be what runs; it is asked first."""
    talk.start("t")
    act = talk.hear("stop that please")
    assert isinstance(act, Say)
    assert act.is_question
    assert "cancel the word count" in act.text


def test_the_status_is_what_the_database_says(talk: Conversation) -> None:
    """Queued, running with its last milestone, and ended with its result."""
    assert talk.hear("what is the status") == Say("Nothing is running. You can ask for a task.")
    talk.start("t")
    assert talk.hear("how is it going") == Say("The word count of the annual report is waiting to be started.")
    talk.log.progress("t", "read 12 lines", 40)
    expected = "The word count of the annual report is 40 percent done. Read 12 lines."
    assert talk.hear("what is the status") == Say(expected)
    talk.log.complete("t", "358")
    assert talk.hear("are you done") == Say("Nothing is running. The annual report has 358 words.")


def test_what_can_be_asked_and_what_is_stored_are_told(talk: Conversation) -> None:
    """Help gives examples; the files are listed by their spoken names."""
    help_ = talk.hear("what can you do")
    assert isinstance(help_, Say)
    assert "for example" in help_.text
    files = talk.hear("what files are there")
    assert isinstance(files, Say)
    assert "the annual report" in files.text


def test_the_last_sentence_can_be_repeated(talk: Conversation) -> None:
    """ "Say that again" repeats what was said, or admits that nothing was."""
    assert talk.hear("say that again") == Say(replies.NOTHING_SAID)
    talk.last_said = "The annual report has 358 words."
    assert talk.hear("can you repeat that") == Say("The annual report has 358 words.")


def test_a_destructive_template_is_read_back_first() -> None:
    """What cannot be undone needs a yes even when it was clearly heard."""
    template = CATALOG.get("count-words").model_copy(update={"destructive": True})
    dialog = Dialog({"count-words": template}, Conversation())
    match = MATCHER.match("count the words in the annual report")
    asked = dialog.decide(match, Situation())
    assert asked == Say("You want me to count the words in the annual report. Is that right?", is_question=True)
    assert isinstance(dialog.decide(MATCHER.match("yes", answer_expected=True), Situation()), Start)
