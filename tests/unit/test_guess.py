"""What no form has, a model may understand; what it leaves out, denies or cannot name, it never starts."""

from __future__ import annotations

import pytest

from infra.template_catalog import load_catalog
from schemas.match import Hypothesis, MatchKind
from schemas.template import Template
from schemas.utterance import Matcher
from voice.bot.requests import packaged_model

REMOTES = (
    "sisyphus:shop/till-errors.log",
    "sisyphus:shop/stock-list.csv",
    "sisyphus:letters/SupplierLetters.txt",
    "sisyphus:diary/leek-diary.txt",
)
MATCHER = Matcher(load_catalog(), REMOTES, packaged_model())
RULES = Matcher(load_catalog(), REMOTES)
TILL, STOCK, LETTERS, LEEKS = REMOTES


@pytest.mark.parametrize(
    ("said", "intent", "slots"),
    [
        ("i was hoping to have the supplier letters zipped up before lunch", "compress", {"source": LETTERS}),
        ("the auditor is asking for a checksum on the till errors log", "checksum", {"source": TILL}),
        ("my teacher is asking how many words the leek diary has got in it", "count-words", {"source": LEEKS}),
        ("give us the thirty words that crop up most in the leek diary", "top-words", {"source": LEEKS, "count": "30"}),
        ("get that report pipeline busy with the leek diary", "report-pipeline", {"source": LEEKS}),
        ("have the stock list and the till errors got any differences", "compare", {"first": STOCK, "second": TILL}),
        ("could you make one zip of everything in letters", "compress-folder", {"folder": "sisyphus:letters/"}),
    ],
)
def test_words_of_no_form_are_understood(said: str, intent: str, slots: dict[str, str]) -> None:
    """The rules alone do not act on them."""
    assert RULES.match(said).kind is not MatchKind.ACCEPT
    match = MATCHER.match(said)
    assert (match.kind, match.intent) == (MatchKind.ACCEPT, intent), match
    assert match.best is not None
    assert match.best.slots == slots
    assert match.best.is_guessed


@pytest.mark.parametrize(
    "said",
    [
        "pop the diary in a zip",
        "pop the leek diary and the till errors in a zip",
        "no need to pop the leek diary in a zip",
        "i don't want the leek diary popped in a zip",
        "did you pop the leek diary in a zip",
        "the leek diary has a broken zip",
        "compare the leek diary with",
        "hunt me down something about slugs",
        "give us the thirty or forty words that crop up most in the leek diary",
    ],
)
def test_what_is_not_all_there_is_never_started(said: str) -> None:
    """No name, one too many, denied, asked about, half of it, free words, two numbers."""
    assert MATCHER.match(said).kind is not MatchKind.ACCEPT


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("are the stock list and the till errors the same or not do a comparison please", "compare"),
        ("let me have the till errors as a zip file the company wants it by friday", "compress"),
        ("could you hash the stock list my nephew says that's how you tell if a copy is the same", "checksum"),
        ("before they go to the lender i want a checksum of the supplier letters", "checksum"),
        ("the leek diary won't go through the mail filter the way it is so i need it zipped", "compress"),
        ("zip up the whole letters folder i'm moving desks tonight", "compress-folder"),
    ],
)
def test_what_is_said_around_a_request_need_not_undo_it(said: str, intent: str) -> None:
    """Days, others and what cannot be are spoken of beside a request, too."""
    match = MATCHER.match(said)
    assert (match.kind, match.intent) == (MatchKind.ACCEPT, intent), match


def test_a_guess_that_was_heard_is_heard_again() -> None:
    """A recogniser may have misheard what no form confirms."""
    match = MATCHER.match([Hypothesis(text="Pop the leek diary in a zip.", log_prob=-0.1)])
    assert match.kind is MatchKind.ACCEPT
    assert match.wants_second_look


def test_what_is_near_to_a_template_of_ones_own_is_left_to_it() -> None:
    """The model was never taught it and would take it for one of its own."""
    own = Template.model_validate(
        {
            "name": "burn",
            "title": "burn a file",
            "sentence": "Burn a file to a disc.",
            "example": "burn the stock list",
            "nouns": ["burning"],
            "parameters": {"source": {"type": "object", "description": "the file"}},
            "patterns": ["burn {source} to a zip disc"],
            "task": {"commands": [["true"]]},
            "speech": {
                "started": "Burning the {source}.",
                "complete": "The {source} is burned.",
                "complete_plain": "The {source} is burned.",
                "failed": "Burning the {source} failed. {reason}",
            },
        }
    )
    over = Matcher([*load_catalog(), own], REMOTES, packaged_model())
    for said in ("turn the leek diary to a zip disc", "burn the leek diary to a zip disk would you"):
        assert over.match(said).intent == "burn"


NUMBERED = Matcher(
    load_catalog(), ["sisyphus:sales/price-list-2023.csv", "sisyphus:reports/annual-report-2019.txt"], packaged_model()
)


@pytest.mark.parametrize(
    "said",
    [
        "pop the price list 2024 in a zip",
        "pop the 2024 price list in a zip",
        "i have the annual report 2020 so zip it",
        "my teacher asks how many words the annual report 2020 has got in it",
        "pop the price list in a zip no leave it",
        "pop the price list in a zip forget it",
        "pop the price list in a zip scratch that",
        "pop the price list in a zip just kidding",
        "pop the price list in a zip i am kidding you know",
        "pop the price list in a zip or not i do not mind",
        "pop the price list in a zip no no no",
        "pop the price list in a zip hang on i meant something else",
        "pop the price list in a zip if bob says so",
        "pop the price list in a zip when i get home",
        "could you give the annual report a careful going over no no no",
        "they have the price list put into a zip",
        "they are putting the price list into a zip",
        "somebody had the price list put into a zip",
        "pop the price list in a zip provided that it is big",
        "pop the price list in a zip later",
        "pop the price list in a zip on friday",
        "pop the price list in a zip at five",
        "pop the price list in a zip tomorrow morning",
        "pop the price list in a zip oh sorry that was done already",
        "squeeze the price list down into a zip for the mail hold on a second",
        "the price list can't be compressed",
        "the price list and the annual report can't be compared",
        "i need the price list compressed once bob may see it",
        "i need the price list compressed if bob and anna have told you in writing that it is okay",
        "i need the price list compressed once you are done with it",
        "pop the price list in a zip sorry i did that yesterday",
        "i'm going to pop the price list in a zip",
        "at work we pop the price list in a zip",
        "someone else can pop the price list in a zip",
        "how can i compress the price list",
        "how does one zip the price list",
        "pop the price list in a zip unless the boss minds",
        "pop the price list in a zip is what anna wants",
        "pop in a zip the price list is what anna wants",
        "have you compared the price list with the annual report yet",
        "have you compare the price list with the annual report",
        "at noon compress the price list",
        "should i compress the price list",
        "is it a good idea to zip the price list",
        "how long would it take to compress the price list",
        "it would be a shame to compress the price list",
        "would it help to compress the price list",
        "do we have to compress the price list",
        "show me how to compress the price list",
        "i could have compressed the price list",
        "let us talk about compressing the price list",
        "tom should compress the price list",
        "anna can zip the price list",
        "have anna zip the price list",
        "email anna to compress the price list",
        "would it be wrong to run the slow audit on the annual report",
        "should i open the price list and zip it",
        "is it hard to open the price list and zip it",
        "bob wants to take the price list and zip it",
        "we usually take the price list and zip it",
        "to shrink the price list people zip it",
        "the price list is big so how do i zip it",
        "the price list is big so should we zip it",
        "the tax form is longer than the price list so zip it",
        "i have read the price list but the novel is too big so zip it",
        "what are the five least common words in the annual report",
    ],
)
def test_what_is_said_around_a_request_can_undo_it(said: str) -> None:
    """Another year, taken back, put off, only asked about, somebody else's, or of something that has no name."""
    assert NUMBERED.match("pop the price list in a zip").kind is MatchKind.ACCEPT
    assert NUMBERED.match(said).kind is not MatchKind.ACCEPT
    assert NUMBERED.match([Hypothesis(text=said, log_prob=-0.3)]).kind is not MatchKind.ACCEPT


def test_another_template_of_a_shipped_name_is_not_guessed() -> None:
    """The model knows what "compress" was when it learned."""
    shipped = load_catalog().templates["compress"]
    other = shipped.model_copy(update={"patterns": ("delete {source}",), "keywords": ()})
    over = Matcher([other], REMOTES, packaged_model())
    assert packaged_model().knows(shipped)
    assert over.match("i was hoping to have the supplier letters zipped up before lunch").kind is MatchKind.UNKNOWN


@pytest.mark.parametrize(
    ("said", "phrase"),
    [
        ("somebody wrote card declined in the till errors could you search it for that", "card declined"),
        ("can you see whether the supplier letters say late delivery anywhere", "late delivery"),
        ("look for card sorry card declined in the till errors", "card declined"),
        ("try and find amazing grace inside the till errors", "amazing grace"),
        ("check whether the leek diary has treasure island in it", "treasure island"),
        ("check the till errors for the words card declined because the boss is asking me", "card declined"),
    ],
)
def test_the_words_that_are_looked_for_are_told_from_the_rest(said: str, phrase: str) -> None:
    """Wherever they stand, and whatever is said behind them."""
    match = MATCHER.match(said)
    assert (match.kind, match.intent) == (MatchKind.ACCEPT, "find-phrase"), match
    assert match.best is not None
    assert match.best.slots["phrase"] == phrase
    assert match.best.has_text


def test_who_names_a_file_twice_means_one() -> None:
    """And a number elsewhere is no part of its name."""
    said = "i have two copies of the leek diary so could you hash the leek diary for me"
    match = MATCHER.match(said)
    assert match.best is not None
    assert (match.kind, match.best.slots) == (MatchKind.ACCEPT, {"source": LEEKS})


def test_small_words_are_nothing_to_look_for() -> None:
    """The end of another request is no search for "in"."""
    assert MATCHER.match("in the supplier letters would you").kind is not MatchKind.ACCEPT


def test_what_has_the_form_of_a_request_and_is_none_is_asked_back() -> None:
    """The forms cannot know all the ways to ask for nothing; the model has learned many."""
    said = "the stock list has a find button in the corner so paint that button red"
    assert RULES.match(said).kind is MatchKind.ACCEPT
    assert MATCHER.match(said).kind is not MatchKind.ACCEPT


@pytest.mark.parametrize(
    "said",
    [
        "and zip the leek diary",
        "a zip the leek diary",
        "And pack the leek diary.",
        "and zip up the leek diary for me because it is far too big to mail",
    ],
)
def test_what_may_have_been_undone_is_asked_back(said: str) -> None:
    """ "Unzip" is heard as "and zip"; typed, it is what it is."""
    assert MATCHER.match([Hypothesis(text=said, log_prob=-0.1)]).kind is not MatchKind.ACCEPT
    assert MATCHER.match(said).kind is MatchKind.ACCEPT


@pytest.mark.parametrize(
    "said", ["top up the words in the leek diary", "could you top the words in the leek diary please"]
)
def test_what_may_have_been_totted_up_ranks_no_words(said: str) -> None:
    """ "Tot up the words" is to count them."""
    assert MATCHER.match([Hypothesis(text=said, log_prob=-0.1)]).kind is not MatchKind.ACCEPT


def test_more_words_than_forms_take_are_left_to_the_model() -> None:
    """Who tells a story before asking asks all the same."""
    said = "we had the water up to the windows that year and i can't remember if i wrote it down so please look for the"
    match = MATCHER.match(f"{said} word flood in the leek diary")
    assert (match.kind, match.intent) == (MatchKind.ACCEPT, "find-phrase")
    assert MATCHER.match(" ".join([said] * 5)).kind is MatchKind.UNKNOWN


@pytest.mark.parametrize(
    ("number", "count"),
    [("five no six", "6"), ("21", "21"), ("twenty one", "21"), ("a hundred", "100"), ("one hundred and one", "101")],
)
def test_a_number_is_taken_whole(number: str, count: str) -> None:
    """ "One" alone is no number, in "twenty one" it is."""
    match = MATCHER.match(f"give us the {number} words that crop up most in the leek diary")
    assert match.best is not None
    assert (match.kind, match.best.slots["count"]) == (MatchKind.ACCEPT, count)


def test_another_years_file_is_not_searched_either() -> None:
    """Free words or not."""
    said = "can you see whether the price list {} says late delivery anywhere"
    assert NUMBERED.match(said.format("2023")).kind is MatchKind.ACCEPT
    assert NUMBERED.match(said.format("2024")).kind is not MatchKind.ACCEPT


FOLDERS = Matcher(
    load_catalog(),
    ["s:home/letters/a-note.txt", "s:work/letters/b-note.txt", "s:farm/accounts/c-note.txt"],
    packaged_model(),
)


@pytest.mark.parametrize(
    ("said", "is_done"),
    [
        ("could you make one zip of everything in accounts", True),
        ("could you make one zip of everything in letters", False),
        ("could you make one zip of everything in accounts if the boss agrees", False),
        ("could you make one zip of everything in accounts no wait never mind", False),
    ],
)
def test_a_folder_that_is_not_called_one_is_held_to_the_same(said: str, is_done: bool) -> None:
    """Namesakes are asked about, and what is said behind it counts."""
    assert (FOLDERS.match(said).kind is MatchKind.ACCEPT) is is_done


@pytest.mark.parametrize(
    "said",
    [
        "somebody has been at the leek diary would you audit it slowly please",
        "the neighbours want the leek diary and they want it zipped so could you zip it up",
    ],
)
def test_others_may_have_done_something_besides(said: str) -> None:
    """Only who does what is asked for needs no help with it."""
    assert MATCHER.match(said).kind is MatchKind.ACCEPT


def test_a_name_may_begin_with_what_nothing_does() -> None:
    """ "Call" is no request where a file is called "call volume", "delete" is one where it is "delete log"."""
    files = ["s:desk/call-volume.csv", "s:desk/chore-roster.csv", "s:desk/delete-log.txt"]
    over = Matcher(load_catalog(), files, packaged_model())
    match = over.match("call volume and chore roster i want those two compared")
    assert (match.kind, match.intent) == (MatchKind.ACCEPT, "compare")
    said = "delete the log and tell me beforehand how many words are in it"
    assert over.match(said).kind is not MatchKind.ACCEPT


def test_more_than_is_compared_where_it_stands_before_a_name() -> None:
    """ "Than" is a word like others where it is looked for."""
    assert RULES.match("find more than in the leek diary").kind is MatchKind.ACCEPT
    assert MATCHER.match("find more than in the leek diary").kind is MatchKind.ACCEPT
