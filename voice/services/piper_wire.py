"""The frames between the server and its voice process: length-prefixed binary on two pipes, no pickle.

A frame is magic, version, type, request number and payload length, then the payload. Both sides use
this file, so it imports nothing but the standard library.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

_MAGIC, _VERSION = b"SV", 1
_HEADER = struct.Struct(">2sBBII")
HEADER_BYTES = _HEADER.size
#: No frame is longer; a header that says so is not one of ours.
MAX_PAYLOAD_BYTES = 1 << 20
#: PCM leaves in pieces of this size (0.7 s at 22,050 Hz), so that a cancel is seen between them.
PCM_PIECE_BYTES = 1 << 15


class WireError(ValueError):
    """The bytes on the pipe are no frame of ours; the stream cannot be followed any further."""


class FrameType(IntEnum):
    """What a frame says; the first two go to the voice process, the others come from it."""

    SPEAK = 1  # payload: the text, UTF-8
    CANCEL = 2  # empty
    READY = 3  # payload: sample rate in Hz, 4 bytes big-endian; request 0
    PCM = 4  # payload: mono PCM16 little-endian
    END = 5  # empty: the request is done, or was canceled
    ERROR = 6  # payload: what went wrong, UTF-8; the request is done


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One message; `request` is the number that the asking side gave."""

    type: FrameType
    request: int
    payload: bytes = b""


def encode(frame: WireFrame) -> bytes:
    """Return the frame's bytes.

    Raises:
        WireError: the payload is longer than a frame may be.
    """
    if len(frame.payload) > MAX_PAYLOAD_BYTES:
        raise WireError(f"a payload of {len(frame.payload)} bytes is over the limit of {MAX_PAYLOAD_BYTES}")
    return _HEADER.pack(_MAGIC, _VERSION, frame.type, frame.request, len(frame.payload)) + frame.payload


def decode_header(header: bytes) -> tuple[FrameType, int, int]:
    """Return (type, request, payload length) of a header of `HEADER_BYTES` bytes.

    Raises:
        WireError: wrong length, magic, version or type, or a payload over the limit.
    """
    if len(header) != HEADER_BYTES:
        raise WireError(f"a header has {HEADER_BYTES} bytes, not {len(header)}")
    magic, version, kind, request, length = _HEADER.unpack(header)
    if magic != _MAGIC or version != _VERSION:
        raise WireError(f"not a voice frame: magic {magic!r}, version {version}")
    if length > MAX_PAYLOAD_BYTES:
        raise WireError(f"a payload of {length} bytes is over the limit of {MAX_PAYLOAD_BYTES}")
    try:
        return FrameType(kind), request, length
    except ValueError as error:
        raise WireError(f"unknown frame type {kind}") from error
