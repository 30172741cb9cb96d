"""A TCP proxy that does to each new connection what the next planned fault says; without one it only passes bytes on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Fault:
    """What happens to one connection. Offsets count the bytes of its answer, or of its request."""

    status: int | None = None  # answer the first request with this HTTP status, then close
    cut_answer_at: int | None = None
    flip_answer_at: int | None = None
    flip_request_at: int | None = None
    hangs: bool = False  # says nothing until released, then closes


class FaultProxy:
    """Forwards connections to `host:port`; plan faults by appending to `plan`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.plan: list[Fault] = []
        self.connections = 0
        self.hanging, self.release = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, _: object, __: BaseException | None, ___: TracebackType | None) -> None:
        self.release.set()
        self._server.close()

    @property
    def port(self) -> int:
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        fault = self.plan.pop(0) if self.plan else Fault()
        try:
            if fault.hangs:
                self.hanging.set()
                await self.release.wait()
            elif fault.status is not None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 %d Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % fault.status)
                await writer.drain()
            else:
                await self._forward(reader, writer, fault)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)

        sending = asyncio.create_task(_pump(reader, up_writer, flip_at=fault.flip_request_at))
        try:
            await _pump(up_reader, writer, flip_at=fault.flip_answer_at, cut_at=fault.cut_answer_at)
        finally:
            sending.cancel()
            up_writer.close()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, flip_at: int | None, cut_at: int | None = None
) -> None:
    passed = 0
    with suppress(ConnectionError):
        while data := bytearray(await source.read(65536)):
            if flip_at is not None and 0 <= flip_at - passed < len(data):
                data[flip_at - passed] ^= 0x01
            if cut_at is not None and passed + len(data) > cut_at:
                sink.write(bytes(data[: cut_at - passed]))
                await sink.drain()
                return
            sink.write(bytes(data))
            await sink.drain()
            passed += len(data)
        if sink.can_write_eof():
            sink.write_eof()
