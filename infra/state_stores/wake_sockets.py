"""Wake-ups between the processes that share a SQLite file: Unix datagram sockets in a directory beside it.

Every listening process binds one socket there; a writer sends the letters of its topics to each of them after its
commit, never blocking. A socket whose process died refuses, and is removed by whoever notices.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from infra.state_store import Topic
from infra.state_stores.wake import Wakes, encoded

#: Longest path of a Unix socket, in bytes, without the closing NUL.
_MAX_PATH_BYTES = 107
#: Longest name of a socket in the directory: pid, dash, 8 hex digits, suffix.
_NAME_BYTES = 28
#: When so many datagrams came at once, the queue (10 on some kernels) may have been full and others dropped.
_FULL = 8


def wake_directory(database: Path) -> Path:
    """Where the sockets of this database lie; every process that opens it comes to the same answer."""
    real = database.resolve()
    beside = real.with_name(real.name + ".wake")
    if len(os.fsencode(beside)) + _NAME_BYTES <= _MAX_PATH_BYTES:
        return beside
    key = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sisyphus-{os.getuid()}-{key}"


class WakeSender:
    """Tells every listening process what changed. Used by the writer's thread only."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, topics: Collection[Topic]) -> None:
        """Send; never blocks and never fails: a listener that misses it looks again by itself."""
        letters = encoded(topics).encode()
        try:
            names = os.listdir(self._directory)  # noqa: PTH208 - at every commit: names alone are enough
        except OSError:
            return
        for name in names:
            path = f"{self._directory}/{name}"
            try:
                self._socket.sendto(letters, path)
            except ConnectionRefusedError:
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
            except OSError:
                continue

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class SocketWakes(Wakes):
    """The receiving side: one socket per store, shared by its listeners."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._socket: socket.socket | None = None
        self._path: Path | None = None

    async def _open(self) -> None:
        if self._socket is not None:
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{os.getpid()}-{secrets.token_hex(4)}.sock"
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        receiver.bind(str(path))
        self._socket, self._path = receiver, path
        asyncio.get_running_loop().add_reader(receiver, self._drain, receiver)

    def _drain(self, receiver: socket.socket) -> None:
        count = 0
        letters: set[str] = set()
        while count < _FULL:
            try:
                letters.update(receiver.recv(16).decode("ascii", "ignore"))
            except OSError:
                break
            count += 1
        if count < _FULL:
            self.wake("".join(letters))
        else:
            self.wake_all()

    def _idle(self) -> None:
        if self._socket is None or self._path is None:
            return
        with suppress(RuntimeError, NotImplementedError):  # the loop is closed
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        self._socket = self._path = None

    async def close(self) -> None:
        """Remove the socket. Idempotent."""
        self._idle()
