"""A tiny image of our own: a probe can really run something where no image is present and none can be pulled."""

from __future__ import annotations

import io
import struct
import tarfile

#: Name of the image, and the program and canary file inside its container.
IMAGE, PROGRAM, CANARY = "sisyphus-probe:1", "/true", "/canary"
#: Machine code of ``exit(0)`` by Docker's name of the architecture: (ELF machine, code).
_EXIT: dict[str, tuple[int, bytes]] = {
    "amd64": (62, bytes.fromhex("31ffb83c0000000f05")),
    "arm64": (183, bytes.fromhex("000080d2a80b80d2010000d4")),
}
_LOAD_ADDRESS, _HEADERS_BYTES = 0x400000, 64 + 56


def can_run(architecture: str) -> bool:
    """Whether there is a program for this architecture."""
    return architecture in _EXIT


def image_tar(architecture: str) -> bytes:
    """The root file system as a tar archive; without a program where the architecture is unknown."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, CANARY, b"", 0o644)
        if can_run(architecture):
            _add(archive, PROGRAM, _executable(*_EXIT[architecture]), 0o755)
        directory = tarfile.TarInfo("tmp")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(directory)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def _executable(machine: int, code: bytes) -> bytes:
    """A static 64-bit little-endian ELF executable of one readable and executable segment."""
    start = _LOAD_ADDRESS + _HEADERS_BYTES
    size = _HEADERS_BYTES + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x10000)
    return identity + header + segment + code


def file_in_tar(data: bytes) -> bytes:
    """The content of the only file of an archive that the engine returned; empty if it is none."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isfile() else None
            if file is not None:
                return file.read()
    return b""
