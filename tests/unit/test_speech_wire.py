"""The frames between server and voice process: nothing but a frame of ours is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.services import piper_wire
from voice.services.piper_wire import HEADER_BYTES, MAX_PAYLOAD_BYTES, FrameType, WireError, WireFrame

_frames = st.builds(WireFrame, st.sampled_from(FrameType), st.integers(0, 2**32 - 1), st.binary(max_size=300))


@given(_frames)
def test_a_frame_comes_back(frame: WireFrame) -> None:
    """Type, request and payload survive the pipe."""
    coded = piper_wire.encode(frame)
    kind, request, length = piper_wire.decode_header(coded[:HEADER_BYTES])
    assert WireFrame(kind, request, coded[HEADER_BYTES:]) == frame
    assert length == len(frame.payload)


@given(st.binary(max_size=3 * HEADER_BYTES))
def test_random_bytes_are_refused_or_bounded(header: bytes) -> None:
    """Whatever arrives is refused, or announces no more than a frame may hold."""
    try:
        kind, request, length = piper_wire.decode_header(header)
    except WireError:
        return
    assert kind in FrameType
    assert 0 <= request < 2**32
    assert 0 <= length <= MAX_PAYLOAD_BYTES


@given(_frames, st.integers(0, HEADER_BYTES - 1), st.integers(1, 255))
def test_a_flipped_header_is_never_longer_than_the_limit(frame: WireFrame, at: int, flip: int) -> None:
    """A damaged header cannot make the reader wait for gigabytes."""
    header = bytearray(piper_wire.encode(frame)[:HEADER_BYTES])
    header[at] ^= flip
    try:
        assert piper_wire.decode_header(bytes(header))[2] <= MAX_PAYLOAD_BYTES
    except WireError as error:
        assert str(error)


def test_what_is_too_long_is_not_sent() -> None:
    """A payload over the limit is refused where it is made."""
    with pytest.raises(WireError, match="limit"):
        piper_wire.encode(WireFrame(FrameType.PCM, 1, bytes(MAX_PAYLOAD_BYTES + 1)))
