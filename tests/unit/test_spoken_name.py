"""How names of objects are said, and that no name can break it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.number_words import number_words, read_number
from schemas.spoken_name import MAX_NAME_WORDS, folder_names, object_names, spoken_name
from schemas.wording import heard, plain


@pytest.mark.parametrize(
    ("key", "spoken"),
    [
        ("reports/annual-report.txt", "annual report"),
        ("sisyphus:reports/annual_report.txt", "annual report"),
        ("s3://bucket/reports/Annual Report.TXT", "annual report"),
        ("PressRelease.docx", "press release"),
        ("Q3Results.csv", "q three results"),
        ("HTTPServer.log", "http server"),
        ("books/1984.txt", "nineteen eighty four"),
        ("invoice-42.txt", "invoice forty two"),
        ("call_007.txt", "call zero zero seven"),
        ("backup.tar.gz", "backup"),
        ("README", "readme"),
        (".env", "env"),
        ("café-menü.txt", "cafe menu"),
        ("bob's letter.txt", "bobs letter"),
        ("salt&pepper.txt", "salt and pepper"),
        ("v1.2-notes.md", "v one two notes"),
        ("reports/", "reports"),
        ("🎉.txt", ""),
        ("", ""),
        ("...", ""),
        ("отчёт.txt", ""),
        ("3f9a7c2e-11aa-22bb-8d1e-000000000000.bin", ""),
        ("9f86d081884c7d659a2feaa0c55ad015.bin", ""),
        ("dQw4w9WgXcQabc12345xyz.bin", ""),
        ("insurance_claims_2023.txt", "insurance claims twenty twenty three"),
        ("QuarterlySalesReport2024.csv", "quarterly sales report twenty twenty four"),
    ],
)
def test_name_is_said_as_people_say_it(key: str, spoken: str) -> None:
    """Separators, capitals, digits and endings become words; what cannot be said is empty."""
    assert spoken_name(key) == spoken


def test_namesakes_are_told_apart_by_folder_or_kind() -> None:
    """The shared form stays, and each gets a form of its own."""
    names = {n.remote: n for n in object_names(["b:a/plan.txt", "b:c/plan.txt", "b:x/list.txt", "b:x/list.csv"])}
    assert names["b:a/plan.txt"].spoken == "plan in a"
    assert "c plan" in names["b:c/plan.txt"].forms
    assert names["b:x/list.csv"].spoken == "list table"
    assert all("plan" in names[r].forms for r in ("b:a/plan.txt", "b:c/plan.txt"))


def test_a_number_that_tells_nothing_apart_need_not_be_said() -> None:
    """There is one league table, and two price lists."""
    keys = [
        "a/LeagueTable2023.csv",
        "a/price-list-2023.csv",
        "a/price-list-2024.csv",
        "a/quiz-4.txt",
        "a/apollo-11.log",
    ]
    forms = {name.remote: name.forms for name in object_names(f"b:{key}" for key in keys)}
    assert "league table" in forms["b:a/LeagueTable2023.csv"]
    assert "league table twenty twenty three" in forms["b:a/LeagueTable2023.csv"]
    assert not any("price list" in some for some in forms.values())
    assert not any({"quiz", "apollo"} & set(some) for some in forms.values())
    assert not any(
        "price list" in name.forms for name in object_names(["b:a/price-list-2023.csv", "b:b/price-list.txt"])[:1]
    )


def test_results_of_tasks_are_not_spoken_of_by_name() -> None:
    """A thousand objects called "count" under results would drown every other name."""
    assert (
        object_names(["b:results/t1/count.txt", "b:.sisyphus/x/y.txt", "b:notes/count.txt"])[0].remote
        == "b:notes/count.txt"
    )
    assert len(object_names(["b:results/t1/count.txt"])) == 0


def test_folders_come_from_the_objects_in_them() -> None:
    """Every folder on the way to an object has a name."""
    found = {n.remote: n.spoken for n in folder_names(["b:sales/2024/january.csv", "b:sales/list.csv", "b:top.txt"])}
    assert found == {"b:sales/": "sales", "b:sales/2024/": "twenty twenty four"}


@given(st.lists(st.text(max_size=60), max_size=20))
def test_no_name_breaks_the_names(keys: list[str]) -> None:
    """Any text at all gives names of plain words, bounded, and the same each time."""
    remotes = [f"bucket:{key}" for key in keys]
    names = object_names(remotes)
    assert names == object_names(remotes)
    for name in names:
        assert name.forms
        for form in (name.spoken, *name.forms):
            assert all(word.isascii() and word.isalpha() and word.islower() for word in form.split())
            assert len(form.split()) <= 6 * MAX_NAME_WORDS


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("42", "forty two"),
        ("105", "one hundred five"),
        ("1984", "nineteen eighty four"),
        ("2026", "twenty twenty six"),
        ("12345678", "one two three four five six seven eight"),
        ("9" * 500, " ".join(["nine"] * 12)),
    ],
)
def test_number_is_said_as_year_cardinal_or_digits(digits: str, words: str) -> None:
    """Long numbers are bounded."""
    assert number_words(digits) == words


@given(st.integers(0, 1000))
def test_spoken_number_is_read_back(number: int) -> None:
    """Reading undoes saying."""
    said = "one thousand" if number == 1000 else number_words(str(number))
    assert read_number(said.split()) == number


@pytest.mark.parametrize("words", ["", "the", "ten words", "and", "four two"])
def test_other_words_are_no_number(words: str) -> None:
    """Only a whole number is one."""
    assert read_number(words.split()) is None


def test_words_remember_where_they_stood() -> None:
    """Free text is taken from the original, with its capitals and digits."""
    said = heard("Please find “Café 42” in   the Annual-Report, thanks!")
    assert said.words == ("find", "cafe", "forty", "two", "in", "the", "annual", "report", "thanks")
    assert said.original(1, 4) == "Café 42"
    assert said.without_courtesy().words[-1] == "report"


@example("ÒK")
@given(st.text(max_size=2000))
def test_any_text_becomes_plain_words(text: str) -> None:
    """Whatever is heard or typed gives lower-case words whose places lie in the text."""
    said = heard(text)
    assert all(word.isascii() and word.isalpha() and word.islower() for word in said.words)
    assert all(0 <= start < end <= len(text) for start, end in said.places)
    assert plain(plain(text)) == plain(text)
