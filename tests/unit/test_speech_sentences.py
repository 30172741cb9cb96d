"""How a text is cut for speaking, and how the sound of fixed sentences is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from voice.services.errors import VoiceDied
from voice.services.sentence_cache import SentenceCache
from voice.services.sentences import MAX_PIECE, lead_in, split_sentences


def test_sentences_are_cut_at_their_ends() -> None:
    """A file name's dot ends nothing; a sign without letters is not spoken."""
    text = "Okay. I put it in report.txt!  It has 3.5 million words… Really?\n- \nYes"
    assert split_sentences(text) == ["Okay.", "I put it in report.txt!", "It has 3.5 million words…", "Really?", "Yes"]


@given(st.text(max_size=1500))
def test_every_word_is_spoken_once_in_bounded_pieces(text: str) -> None:
    """Cutting loses no letter, repeats none, and no piece is longer than the bound."""
    pieces = split_sentences(text)
    assert all(len(piece) <= MAX_PIECE for piece in pieces)
    letters = [char for char in text if char.isalnum()]
    assert [char for piece in pieces for char in piece if char.isalnum()] == letters


def test_a_known_opening_is_spoken_from_the_cache() -> None:
    """Only an opening whose sound is at hand is cut off."""
    known = {"Okay.", "All right then."}
    assert lead_in("Okay, counting the words.", known) == ["Okay.", "counting the words."]
    assert lead_in("All right then, counting.", known) == ["All right then.", "counting."]
    assert lead_in("Sorry, which one?", known) == ["Sorry, which one?"]
    assert lead_in("Okay.", known) == ["Okay."]


class _Voice:
    def __init__(self, fails: bool = False) -> None:
        self.asked: list[str] = []
        self._fails = fails

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        self.asked.append(text)
        if self._fails:
            raise VoiceDied("test")
        yield text.encode()
        yield bytes(1000 - len(text))


async def test_sound_is_made_once_for_all_servers(tmp_path: Path) -> None:
    """A second server reads from disk what the first one made."""
    first, second = _Voice(), _Voice()
    await SentenceCache(tmp_path, "a" * 64).prepare(("Okay.", "Done.", "Okay."), first.speak)
    cache = SentenceCache(tmp_path, "a" * 64)
    await cache.prepare(("Okay.", "Done."), second.speak)
    assert (first.asked, second.asked) == (["Okay.", "Done."], [])
    assert (cache.get("Okay.") or b"").startswith(b"Okay.")
    assert "Okay." in cache
    assert cache.get("Never asked for.") is None


async def test_another_voice_has_its_own_sound(tmp_path: Path) -> None:
    """A new voice does not speak with the old one's sound."""
    voice = _Voice()
    await SentenceCache(tmp_path, "a" * 64).prepare(("Okay.",), voice.speak)
    await SentenceCache(tmp_path, "b" * 64).prepare(("Okay.",), voice.speak)
    assert voice.asked == ["Okay.", "Okay."]


async def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    """Neither an empty nor a cut file is ever spoken."""
    voice = _Voice()
    await SentenceCache(tmp_path, "a" * 64).prepare(("Okay.",), voice.speak)
    path = next((tmp_path / ("a" * 16)).iterdir())
    for damage in (b"", path.read_bytes()[:500]):
        path.write_bytes(damage)
        cache = SentenceCache(tmp_path, "a" * 64)
        await cache.prepare(("Okay.",), voice.speak)
        assert len(cache.get("Okay.") or b"") == 1000
    assert len(voice.asked) == 3


async def test_the_cache_is_bounded_in_memory_and_on_disk(tmp_path: Path) -> None:
    """What does not fit is left out, and what is not asked for any more is removed."""
    cache = SentenceCache(tmp_path, "a" * 64, max_bytes=2500)
    await cache.prepare([f"Sentence {i}." for i in range(5)], _Voice().speak)
    assert cache.size_bytes == 2000
    assert len(list((tmp_path / ("a" * 16)).iterdir())) == 2
    await SentenceCache(tmp_path, "a" * 64).prepare(("Sentence 0.",), _Voice().speak)
    assert len(list((tmp_path / ("a" * 16)).iterdir())) == 1


async def test_a_voice_that_fails_leaves_the_sentence_out(tmp_path: Path) -> None:
    """A server starts without its cached sentences rather than not at all."""
    cache = SentenceCache(tmp_path, "a" * 64)
    await cache.prepare(("Okay.",), _Voice(fails=True).speak)
    assert "Okay." not in cache
    assert list((tmp_path / ("a" * 16)).iterdir()) == []
