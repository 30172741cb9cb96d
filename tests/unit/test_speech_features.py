"""Features and token text: held against the same thing computed in another way."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.services.bpe import decode_tokens
from voice.services.mel import log_mel, pcm_to_sound, played
from voice.services.token_table import TokenTable


def _hz_to_mel(hz: float) -> float:
    return hz / (200 / 3) if hz < 1000 else 15 + math.log(hz / 1000) / (math.log(6.4) / 27)


def _mel_to_hz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def _reference_frame(sound: list[float], frame: int) -> list[float]:
    """One frame's mel powers by the definition: a plain Fourier sum and triangles drawn band by band."""
    taken = [sound[i] if 0 <= (i := frame * 160 - 200 + k) < len(sound) else 0.0 for k in range(400)]
    windowed = [x * (0.5 - 0.5 * math.cos(2 * math.pi * k / 400)) for k, x in enumerate(taken)]
    power = [
        abs(sum(x * cmath.exp(-2j * math.pi * k * bin_ / 400) for k, x in enumerate(windowed))) ** 2
        for bin_ in range(201)
    ]
    step = _hz_to_mel(8000) / 81
    bands: list[float] = []
    for band in range(80):
        low, mid, high = (_mel_to_hz(step * (band + k)) for k in range(3))
        total = 0.0
        for bin_, value in enumerate(power):
            hz = bin_ * 40
            weight = (hz - low) / (mid - low) if hz <= mid else (high - hz) / (high - mid)
            total += max(0.0, weight) * value * 2 / (high - low)
        bands.append(total)
    return bands


def test_log_mel_is_the_definition() -> None:
    """Every band of frames in the middle and at the edge equals the definition written as plain loops."""
    rng = np.random.default_rng(7)
    time_s = np.arange(1600) / 16000
    sound = (0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.05 * rng.normal(size=1600)).astype(np.float32)
    found = log_mel(sound, 12.0)
    assert found.shape == (80, 1200)
    assert found.dtype == np.float32
    # Frame 0 is left out: Whisper mirrors the edge there, we have silence before the sound.
    raw = {frame: [math.log10(max(x, 1e-10)) for x in _reference_frame(sound.tolist(), frame)] for frame in (2, 5)}
    loudest = float(found.max()) * 4 - 4
    for frame, bands in raw.items():
        expected = [(max(x, loudest - 8) + 4) / 4 for x in bands]
        assert found[:, frame] == pytest.approx(expected, abs=2e-3)


def test_log_mel_does_not_depend_on_silence_behind() -> None:
    """Zeros behind the sound change nothing, so a segment needs no padding of its own."""
    sound = np.random.default_rng(3).normal(0, 0.1, 8000).astype(np.float32)
    padded = np.concatenate([sound, np.zeros(16000, np.float32)])
    assert np.allclose(log_mel(sound, 12.0), log_mel(padded, 12.0), atol=1e-5)


def test_log_mel_takes_any_length() -> None:
    """No sound, one sample and more than the window give a whole window each."""
    for samples in (0, 1, 159, 12 * 16000 + 5):
        assert log_mel(np.zeros(samples, np.float32), 12.0).shape == (80, 1200)


def test_pcm_keeps_its_scale_and_drops_half_a_sample() -> None:
    """Full scale becomes -1, and an odd byte at the end is no sample."""
    assert pcm_to_sound(b"\x00\x80\xff\x7f\x01").tolist() == [-1.0, 32767 / 32768]


def _encode(text: str) -> str:
    """GPT-2's byte table, built from its rule: bytes without a glyph are moved up, in order, from 256."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    moved = iter(range(256, 512))
    table = {byte: chr(byte) if byte in shown else chr(next(moved)) for byte in range(256)}
    return "".join(table[byte] for byte in text.encode())


@given(st.text(), st.integers(1, 5))
def test_tokens_decode_to_the_text_they_encode(text: str, width: int) -> None:
    """Any text comes back whole, wherever the tokens cut it, even inside one character."""
    coded = _encode(text)
    tokens = [coded[i : i + width] for i in range(0, len(coded), width)]
    # A piece that looks like a special token is one to the decoder too.
    if any(token.startswith("<|") and token.endswith("|>") for token in tokens):
        return
    assert decode_tokens(tokens) == text.strip()


@settings(max_examples=200)
@given(st.lists(st.text(max_size=8), max_size=12))
def test_no_token_breaks_the_decoder(tokens: list[str]) -> None:
    """Tokens with characters outside the table, or cut inside a character, give some text and no error."""
    assert isinstance(decode_tokens(tokens), str)


def test_special_tokens_are_no_text() -> None:
    """Timestamps and the end token leave no trace."""
    assert decode_tokens(["<|0.00|>", "ĠCount", "Ġthe", "Ġwords", ".", "<|endoftext|>"]) == "Count the words."


def test_tokens_are_found_both_ways() -> None:
    """As in a list and a dictionary, whatever the order of the bytes."""
    tokens = ["the", "", "a", "Ġthe", "ü", "th", "[CLS]", "##s"]
    table = TokenTable(tokens)
    assert len(table) == len(tokens)
    assert [table.token(table.number(token)) for token in tokens] == tokens
    assert [table.find(token) for token in tokens] == list(range(len(tokens)))
    assert table.find("t") is None
    for number in (-1, len(tokens)):
        with pytest.raises(IndexError):
            table.token(number)
    with pytest.raises(KeyError):
        table.number("thee")


def test_a_sound_is_played_slower_and_faster() -> None:
    """By as much as the tempo says; what is no sound stays none."""
    sound = np.sin(np.arange(16_000) / 50).astype(np.float32)
    slower = played(sound, 0.5)
    assert len(slower) == pytest.approx(2 * len(sound), abs=2)
    assert slower[1000] == pytest.approx(sound[500], abs=1e-3)
    assert len(played(sound, 1.25)) == pytest.approx(12_800, abs=2)
    assert len(played(sound[:0], 0.85)) == 0
