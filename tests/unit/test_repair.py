"""A word or two that were misheard are repaired, and only where a request comes of it."""

from __future__ import annotations

import pytest

from infra.template_catalog import load_catalog
from schemas.foreign import FOREIGN
from schemas.match import Reading
from schemas.utterance import Matcher
from voice.bot.requests import packaged_model

REMOTES = (
    "sisyphus:farm/ColdRoom.log",
    "sisyphus:farm/egg-orders.csv",
    "sisyphus:home/recipe_box.md",
    "sisyphus:garage/ramp_service.log",
)
MATCHER = Matcher(load_catalog(), REMOTES, packaged_model())


def repaired(*said: str, heard: tuple[str, ...] = ()) -> list[Reading]:
    return MATCHER.repaired(said, heard, 12, 6)


@pytest.mark.parametrize(
    ("said", "wording", "intent"),
    [
        (
            "We're running out of space, so would you comb rest the cold room log?",
            "We're running out of space, so would you compress the cold room log?",
            "compress",
        ),
        (
            "The auditor wants a hash some of the ramp servers log today.",
            "The auditor wants a hash sum of the ramp service log today.",
            "checksum",
        ),
    ],
)
def test_what_sounds_like_a_word_of_a_request_or_a_name_is_replaced(said: str, wording: str, intent: str) -> None:
    """All around it stays as it was written, to the comma."""
    found = {one.wording: one for one in repaired(said)}
    assert found[wording].intent == intent
    assert not found[wording].is_as_written
    assert not found[wording].is_literal


@pytest.mark.parametrize(
    ("said", "wording"),
    [
        (
            "Is it okay to set a slow order going on the egg orders?",
            "Is it okay to set a slow audit going on the egg orders?",
        ),
        (
            "Recipe box please, or did it slowly and don't skip anything.",
            "Recipe box please, audit it slowly and don't skip anything.",
        ),
        ("The boss is waiting so could use it the recipe box?", "The boss is waiting so could you zip the recipe box?"),
    ],
)
def test_what_is_often_written_for_a_key_word_is_tried(said: str, wording: str) -> None:
    """Though it is not like it by its letters."""
    assert wording in {one.wording for one in repaired(said)}


def test_rivals_come_with_a_request() -> None:
    """What else may have been said in that place."""
    found = repaired("so what you can press the cold room log")
    assert {one.intent for one in found} == {"compress", FOREIGN}
    assert any(one.wording == "so what you decompress the cold room log" for one in found)


@pytest.mark.parametrize("said", ["", "the weather is nice today", "look for canker in the wrestler box"])
def test_what_no_request_comes_of_is_left(said: str) -> None:
    """Nor are free words repaired, which fit anything."""
    assert repaired(said) == []


def test_a_word_that_the_request_does_not_need_is_not_replaced() -> None:
    """To bend words until they are a request is no repair."""
    said = "so what you can press the cold room log"
    assert all("compress" in one.wording for one in repaired(said) if one.slots and one.wording != said)


def test_what_denies_is_never_replaced() -> None:
    """Whatever sounds like it."""
    for said in (
        "do not can press the cold room log",
        "never compass the egg orders",
        "i wouldn't count the cold room log",
    ):
        assert all({"not", "never", "wouldn't"} & set(one.wording.split()) for one in repaired(said))


def test_a_number_is_not_repaired_away() -> None:
    """Another year's file is another file."""
    over = Matcher(load_catalog(), ["sisyphus:shop/price-list-2024.csv"], packaged_model())
    assert [one for one in over.repaired(["zip the price list 2023"], (), 12, 6) if one.slots] == []


def test_what_was_written_of_a_name_that_is_only_near_is_weighed_with_the_name() -> None:
    """The sound agrees with what was written; it is asked about what would be done."""
    found = repaired("please could you zip the ramp servers log for me")
    assert found
    assert all("servers" not in one.wording for one in found if one.slots)
    assert not any(one.is_as_written for one in found)


def test_a_long_story_is_not_repaired() -> None:
    """Work has bounds: of so many words only what was heard is looked at."""
    story = "the cold room was warm again last night " * 4
    assert all(one.is_as_written for one in repaired(f"{story}so can you can press the cold room log"))


def test_what_was_heard_besides_is_tried_as_it_was() -> None:
    """The likeliest text of a recogniser is not always the request."""
    found = repaired("pack the wrestler into a sick", heard=("put the recipe box into a zip would you",))
    assert [(one.intent, one.wording) for one in found if one.is_as_written] == [
        ("compress", "put the recipe box into a zip would you")
    ]


def test_what_was_heard_besides_is_tried_before_edits() -> None:
    """Of a long sentence there are more edits than can be tried."""
    said = "Would it be possible to have the egg orders tables memorized I need it for the board?"
    other = "Would it be possible to have the egg orders table summarized I need it for the board?"
    assert other in {one.wording for one in repaired(said, said.replace("?", "."), heard=(other,)) if one.slots}


def test_a_word_that_became_two_is_repaired_whole() -> None:
    """ "Checks and for" is "checksum for", though "checks" alone is nearer to it."""
    found = repaired("work out a checks and for the cold room log it goes off tomorrow")
    assert "work out a checksum for the cold room log it goes off tomorrow" in {one.wording for one in found}


def test_a_cancel_that_no_form_has_is_none() -> None:
    """ "Kit inventory, checksum now" was heard as "kill the inventory, check some now"."""
    heard = "Kill the inventory, check some now thanks."
    assert all(one.intent != "cancel" for one in repaired(heard, heard=(heard,)))
    plain = "cancel the compression"
    assert any(one.intent == "cancel" for one in repaired(plain, heard=(plain,)))


def test_what_both_recognisers_heard_denied_is_not_repaired() -> None:
    """A letter less makes a request of "don't zip"; where one of them heard it only, it may have been misheard."""
    assert not repaired("Don't zip the egg orders.", "Don't zip the egg orders.")
    assert repaired("Don't hash some of the egg orders.", "The hash some of the egg orders.")
