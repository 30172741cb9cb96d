"""The voice process: whatever happens to it, a request ends, and the next sentence is spoken."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from voice.services.errors import SpeechBusy, SpeechError, VoiceDied
from voice.services.piper_client import MAX_TEXT, PiperClient

#: A voice process without a voice: it spells each text, one frame a letter, and does as its texts say.
_SPELLER = """
import os, sys, threading, time
from voice.services.piper_wire import HEADER_BYTES, FrameType, WireFrame, decode_header, encode
lock, canceled = threading.Lock(), set()
def send(kind, request, payload=b""):
    with lock:
        sys.stdout.buffer.write(encode(WireFrame(kind, request, payload))); sys.stdout.buffer.flush()
def speak(request, text):
    if text == "garble": sys.stdout.buffer.write(b"x" * 64); sys.stdout.buffer.flush(); time.sleep(60)
    if text == "refuse": send(FrameType.ERROR, request, b"ValueError: refused"); return
    for letter in text:
        send(FrameType.PCM, request, letter.encode())
        if letter == "!": os._exit(3)
        while letter == "~" and request not in canceled: time.sleep(0.005)
    send(FrameType.PCM, request, b"(canceled)" * (request in canceled)); send(FrameType.END, request)
if len(sys.argv) > 1 and os.path.exists(sys.argv[1]): sys.exit(4)
send(FrameType.READY, 0, (22050).to_bytes(4, "big"))
while len(head := sys.stdin.buffer.read(HEADER_BYTES)) == HEADER_BYTES:
    kind, request, length = decode_header(head)
    text = sys.stdin.buffer.read(length).decode()
    if kind is FrameType.CANCEL: canceled.add(request)
    else: threading.Thread(target=speak, args=(request, text), daemon=True).start()
os._exit(0)
"""


@pytest.fixture
async def client() -> AsyncIterator[PiperClient]:
    """A client over the speller, ready."""
    made = PiperClient([sys.executable, "-c", _SPELLER], deadline_s=10)
    await made.start()
    yield made
    await made.close()


async def _say(client: PiperClient, text: str) -> bytes:
    return b"".join([piece async for piece in client.speak(text)])


async def test_requests_at_the_same_time_do_not_mix(client: PiperClient) -> None:
    """Twenty sessions at once each get their own sound, in order."""
    texts = [f"sentence {i} of the report" for i in range(20)]
    assert await asyncio.gather(*(_say(client, text) for text in texts)) == [text.encode() for text in texts]
    assert client.rate_hz == 22050


async def test_death_fails_all_open_requests_and_the_next_is_spoken(client: PiperClient) -> None:
    """The process dies in the middle of three sentences: all three fail by name, the fourth is spoken."""
    first_pid = client.pid
    waiting = [asyncio.create_task(_say(client, "wait~")) for _ in range(2)]
    dying = asyncio.create_task(_say(client, "ab!cd"))
    results = await asyncio.gather(*waiting, dying, return_exceptions=True)
    assert all(isinstance(result, VoiceDied) for result in results)
    assert "exit status" in str(results[0])
    assert await _say(client, "again") == b"again"
    assert client.pid != first_pid


async def test_a_refused_text_fails_alone(client: PiperClient) -> None:
    """What the engine cannot speak is an error of that sentence only."""
    with pytest.raises(SpeechError, match="refused"):
        await _say(client, "refuse")
    assert await _say(client, "next") == b"next"


async def test_garbled_output_is_the_end_of_that_process(client: PiperClient) -> None:
    """Bytes that are no frame are never waited on: the process is replaced."""
    with pytest.raises(VoiceDied):
        await _say(client, "garble")
    assert await _say(client, "next") == b"next"


async def test_leaving_early_cancels_in_the_process(client: PiperClient) -> None:
    """An interruption reaches the process, which would otherwise speak on for nobody."""
    speech = client.speak("~")
    assert await anext(speech) == b"~"
    await speech.aclose()
    # The speller's thread ends only when it has seen the cancel; a fresh request shows that the pipe is in order.
    assert await _say(client, "next") == b"next"
    held = asyncio.create_task(_say(client, "x~"))
    await asyncio.sleep(0)
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    assert await _say(client, "last") == b"last"


async def test_a_silent_process_is_waited_for_only_so_long() -> None:
    """No sound before the deadline is an error, and so is a process that never gets ready."""
    client = PiperClient([sys.executable, "-c", _SPELLER], deadline_s=2.0)
    await client.start()
    try:
        with pytest.raises(SpeechBusy):
            await _say(client, "~")
    finally:
        await client.close()
    dead = PiperClient(["/nonexistent/voice"], deadline_s=0.5)
    try:
        with pytest.raises(SpeechBusy, match="cannot start"):
            await dead.start()
        assert not dead.is_ready
    finally:
        await dead.close()


async def test_a_process_that_keeps_dying_is_tried_again_later(tmp_path: Path) -> None:
    """While it cannot start, the reason is told; when it can, it is back without anybody's help."""
    block = tmp_path / "block"
    block.touch()
    client = PiperClient([sys.executable, "-c", _SPELLER, str(block)], deadline_s=20)
    starting = asyncio.create_task(client.start())
    async with asyncio.timeout(10):
        while "before it was ready" not in client.reason:
            await asyncio.sleep(0.01)
    assert not client.is_ready
    block.unlink()
    try:
        await starting
        assert await _say(client, "back") == b"back"
    finally:
        await client.close()


async def test_a_text_without_end_is_refused(client: PiperClient) -> None:
    """The bound on a request is held before anything is sent."""
    with pytest.raises(ValueError, match="limit"):
        await _say(client, "a" * (MAX_TEXT + 1))


async def test_the_process_does_not_outlive_its_server() -> None:
    """A server that is killed leaves no voice process behind."""
    program = (
        "import asyncio, sys\n"
        "from voice.services.piper_client import PiperClient\n"
        "async def main():\n"
        "    client = PiperClient([sys.executable, '-c', sys.argv[1]])\n"
        "    await client.start()\n"
        "    print(client.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, _SPELLER, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert server.stdout is not None
    voice_pid = int(await server.stdout.readline())
    server.send_signal(signal.SIGKILL)
    await server.wait()
    async with asyncio.timeout(10):
        while Path(f"/proc/{voice_pid}").exists() and "Z" not in _state(voice_pid):
            await asyncio.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return "Z"
