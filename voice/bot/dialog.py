"""What is done about what was understood: act, ask back, confirm, answer, or stay silent. No I/O.

Invariants: only a clear match, or a yes to an open question, leads to an act; a cancel and a destructive template are
read back first; an unrelated clear command replaces an open question; what matched nothing is never repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.control import ControlIntent
from schemas.match import Match, MatchKind, Reading, Reason
from schemas.record import TaskRecord
from schemas.template import Template
from schemas.wording import plain
from voice.bot import replies
from voice.bot.narration import Manner

#: Seconds for which a question stays open.
QUESTION_S = 25.0
#: Different words that somebody must have said before "I did not understand" is worth saying: fillers, coughs and
#: hums are written as one or two.
_MIN_WORDS = 3
#: Who says one of these means every task.
_ALL = frozenset({"all", "everything"})


@dataclass(frozen=True, slots=True)
class Start:
    """Submit a task."""

    template: Template
    values: Mapping[str, str]
    spoken: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop tasks, and say that they are being stopped."""

    tasks: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say something; `is_question` keeps the floor for the answer."""

    text: str
    is_question: bool = False


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop speaking."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """Do nothing: it was not meant for us."""


Act = Start | Cancel | Say | Hush | Ignore


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision may depend on, besides the words.

    Attributes:
        tasks: the session's tasks as the database has them, oldest first, with how each is spoken of.
        remotes: the objects in the store.
        last_said: the bot's last sentences; empty if it has said nothing.
        was_speaking: the bot speaks, or was interrupted by these words.
        now_s: a monotonic time.
        is_typed: the words were typed, so they are no invention of a recogniser.
    """

    tasks: Sequence[tuple[TaskRecord, Manner]] = ()
    remotes: Sequence[str] = ()
    last_said: str = ""
    was_speaking: bool = False
    now_s: float = 0.0
    is_typed: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Asked and not answered yet.

    Attributes:
        on_yes: what a yes does.
        on_no: what is said to a no.
        choices: spoken name of an object -> what choosing it does; for "which one?".
    """

    on_yes: Act
    on_no: str
    until_s: float
    choices: Mapping[str, Act] = field(default_factory=dict[str, Act])
    was_repeated: bool = False


class Names(Protocol):
    """Finds a name among those that were offered (the matcher)."""

    def choose(self, text: str, names: Sequence[str]) -> str | None:
        """The one of `names` that `text` clearly is, or None."""
        ...


class Dialog:
    """One session's decisions; the only state is the open question."""

    def __init__(self, templates: Mapping[str, Template], names: Names) -> None:
        self._templates, self._names = templates, names
        self._question: Question | None = None
        self._controls: Mapping[str, Callable[[Reading, str, Situation], Act]] = {
            ControlIntent.YES: self._yes,
            ControlIntent.NO: self._no,
            ControlIntent.QUIET: self._quiet,
            ControlIntent.STATUS: self._status,
            ControlIntent.CANCEL: self._cancel,
            ControlIntent.HELP: self._help,
            ControlIntent.OBJECTS: self._objects,
            ControlIntent.REPEAT: self._repeat,
        }

    def awaits_answer(self, now_s: float) -> bool:
        """Whether a question is open."""
        return self._question is not None and now_s < self._question.until_s

    def decide(self, match: Match, now: Situation) -> Act:
        """What to do about `match`; opens, settles or replaces the question."""
        if self._question is not None and not self.awaits_answer(now.now_s):
            self._question = None
        if match.kind is not MatchKind.ACCEPT and (chosen := self._chosen(match)) is not None:
            return chosen
        if match.kind is MatchKind.ACCEPT and match.best is not None:
            return self._accepted(match.best, match.text, now)
        if match.kind is MatchKind.DOUBTFUL and match.best is not None:
            return self._doubtful(match, match.best, now)
        return self._unknown(match, now)

    def _accepted(self, reading: Reading, text: str, now: Situation) -> Act:
        control = self._controls.get(reading.intent)
        if control is not None:
            return control(reading, text, now)
        self._question = None
        template = self._templates.get(reading.intent)
        if template is None:
            return Say(replies.not_understood(self._shown()))
        start = Start(template, reading.slots, reading.spoken)
        if template.destructive:
            asked = replies.request(template, reading.spoken)
            return self._ask(replies.confirm_start(asked), start, replies.LEFT_ALONE, now)
        return start

    def _doubtful(self, match: Match, best: Reading, now: Situation) -> Act:
        if best.intent in {ControlIntent.YES, ControlIntent.NO}:
            return self._ask_again()
        if best.intent == ControlIntent.CANCEL:
            # It is read back in any case; but "quit smoking" is about nothing that runs.
            kind = best.slots.get("task")
            if kind and not self._of_kind(kind, _running(now)):
                return self._unknown(match, now)
            return self._cancel(best, match.text, now)
        if best.intent in self._controls:
            # Neither answers nor silence do harm, but nothing was clearly asked.
            return self._unknown(match, now)
        if match.reason in {Reason.WHICH, Reason.NAMESAKES} and (which := self._which(match, best, now)) is not None:
            return which
        readings = [best, *match.others][: 2 if match.reason is Reason.TIE else 1]
        acts = {asked: act for r in readings if (act := self._start_of(r)) and (asked := self._request_of(r))}
        if not acts:
            return self._unknown(match, now)
        return self._ask(replies.did_you_mean(list(acts)), next(iter(acts.values())), replies.SAY_IT_DIFFERENTLY, now)

    def _which(self, match: Match, best: Reading, now: Situation) -> Act | None:
        choices: dict[str, Act] = {}
        for reading in (best, *match.others):
            act = self._start_of(reading) if reading.intent == best.intent else None
            if act is not None and reading.spoken:
                name = next((v for k, v in reading.spoken.items() if best.spoken.get(k) != v), None)
                choices.setdefault(name or next(iter(reading.spoken.values())), act)
        if len(choices) < 2:
            return None
        text = replies.which_one(list(choices))
        self._question = Question(
            Say(text, is_question=True), replies.SAY_IT_DIFFERENTLY, now.now_s + QUESTION_S, choices
        )
        return Say(text, is_question=True)

    def _chosen(self, match: Match) -> Act | None:
        question = self._question
        if question is None or not question.choices:
            return None
        name = self._names.choose(match.text, list(question.choices))
        if name is None:
            return None
        self._question = None
        return question.choices[name]

    def _unknown(self, match: Match, now: Situation) -> Act:
        words = {word.strip(".,!?").lower() for word in match.text.split()}
        if not now.is_typed and len(words) < _MIN_WORDS:
            return Ignore()
        if self._question is not None:
            return self._ask_again()
        if match.reason is Reason.UNFINISHED:
            return Say(replies.ONLY_A_PART)
        if match.reason is Reason.WHICH:
            return Say(replies.WHICH_FILE)
        return Say(replies.not_understood(self._shown()))

    def _ask(self, text: str, on_yes: Act, on_no: str, now: Situation) -> Act:
        self._question = Question(on_yes, on_no, now.now_s + QUESTION_S)
        return Say(text, is_question=True)

    def _ask_again(self) -> Act:
        question, self._question = self._question, None
        if question is None or question.was_repeated:
            return Say(replies.SAY_IT_DIFFERENTLY) if question is not None else Ignore()
        self._question = Question(
            question.on_yes, question.on_no, question.until_s, question.choices, was_repeated=True
        )
        return Say(replies.ASK_YES_OR_NO, is_question=True)

    def _yes(self, _reading: Reading, _text: str, _now: Situation) -> Act:
        question, self._question = self._question, None
        return question.on_yes if question is not None else Ignore()

    def _no(self, _reading: Reading, _text: str, _now: Situation) -> Act:
        question, self._question = self._question, None
        return Say(question.on_no) if question is not None else Ignore()

    def _quiet(self, _reading: Reading, _text: str, now: Situation) -> Act:
        question, self._question = self._question, None
        if now.was_speaking or question is not None:
            return Hush()
        running = _running(now)
        # Nothing is being said, so what should stop is what runs; that is asked first.
        return self._confirm_cancel(running[-1:], now) if running else Hush()

    def _status(self, reading: Reading, _text: str, now: Situation) -> Act:
        kind = reading.slots.get("task")
        named = self._of_kind(kind, now.tasks) if kind else ()
        return Say(replies.status(named or now.tasks))

    def _cancel(self, reading: Reading, text: str, now: Situation) -> Act:
        running, kind = _running(now), reading.slots.get("task")
        is_all = not _ALL.isdisjoint(plain(f"{text} {reading.wording}").split())
        if self._question is not None and not kind and not is_all:
            # What should stop is what was asked about: a start is not wanted, and whether a cancel is must be told.
            return self._ask_again() if isinstance(self._question.on_yes, Cancel) else self._no(reading, text, now)
        if kind and running and not self._of_kind(kind, running):
            return Say(replies.not_running([manner.label for _, manner in running]))
        if kind:
            running = self._of_kind(kind, running)
        if not is_all:
            running = running[-1:]
        return self._confirm_cancel(running, now)

    def _of_kind(self, kind: str, tasks: Sequence[tuple[TaskRecord, Manner]]) -> list[tuple[TaskRecord, Manner]]:
        """Those of a kind, or of one whose name ends like it: "the compression" may be that of a folder."""
        wanted = self._templates[kind].nouns if kind in self._templates else ()
        akin = {name for name, template in self._templates.items() if any(n.endswith(wanted) for n in template.nouns)}
        return [pair for pair in tasks if pair[0].document.tags.get("template") in {kind, *akin}]

    def _confirm_cancel(self, running: Sequence[tuple[TaskRecord, Manner]], now: Situation) -> Act:
        if not running:
            self._question = None
            return Say(replies.NOTHING_TO_CANCEL)
        labels = [manner.label for _, manner in running]
        act = Cancel(tuple(record.id for record, _ in running), replies.canceling(labels))
        return self._ask(replies.confirm_cancel(labels), act, replies.LEFT_ALONE, now)

    def _help(self, _reading: Reading, _text: str, _now: Situation) -> Act:
        return Say(replies.what_can_be_asked(self._shown()))

    def _objects(self, _reading: Reading, _text: str, now: Situation) -> Act:
        return Say(replies.what_is_stored(now.remotes))

    def _repeat(self, _reading: Reading, _text: str, now: Situation) -> Act:
        return Say(now.last_said or replies.NOTHING_SAID, is_question=self._question is not None)

    def _start_of(self, reading: Reading) -> Act | None:
        template = self._templates.get(reading.intent)
        return Start(template, reading.slots, reading.spoken) if template is not None else None

    def _request_of(self, reading: Reading) -> str:
        return replies.request(self._templates[reading.intent], reading.spoken)

    def _shown(self) -> list[Template]:
        return list(self._templates.values())


def _running(now: Situation) -> list[tuple[TaskRecord, Manner]]:
    return [pair for pair in now.tasks if not pair[0].is_terminal]
