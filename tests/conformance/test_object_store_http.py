"""Inputs from http(s), against real servers: what is fetched, what is tried again, what is bounded."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import socket
import threading

import pytest

from infra import http_exchange
from infra.errors import ObjectMissingError, StorageError, StorageRefusedError
from infra.patience import TRIES
from schemas.paths import Remote
from tests.conformance.http_store_kit import BODY, MIB, fetched, opened, short_pauses, site
from tests.doubles.http_server import answer, broken, chunked, in_turn, rest, silent, trickle

__all__ = ["opened", "short_pauses", "site"]  # fixtures


@pytest.fixture
def responses(monkeypatch) -> list[http.client.HTTPResponse]:
    """Every answer that is begun to be read, kept so that none is closed by the garbage collector."""
    begun: list[http.client.HTTPResponse] = []
    begin = http.client.HTTPResponse.begin

    def noted(response: http.client.HTTPResponse) -> None:
        begun.append(response)
        begin(response)

    monkeypatch.setattr(http.client.HTTPResponse, "begin", noted)
    return begun


async def test_a_file_is_fetched_as_it_is(site, opened, tmp_path):
    """Every byte, with its time; the query is sent, odd characters are encoded, nothing identifies us."""
    site.acts["/a%20b?sig=%2F%C3%BC"] = answer(200, BODY, Last_Modified="Wed, 21 Oct 2015 07:28:00 GMT")
    url, moved = site.url("/a b?sig=%2Fü"), []
    info = await opened().fetch(Remote.parse(url), tmp_path / "x", moved.append)
    assert (tmp_path / "x").read_bytes() == BODY
    assert (info.size_bytes, info.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert (info.modified.isoformat(), sum(moved)) == ("2015-10-21T07:28:00+00:00", len(BODY))
    (sent,) = site.headers
    assert sent == {
        "Host": f"127.0.0.1:{site.port}",
        "Accept-Encoding": "identity",
        "User-Agent": "sisyphus",
        "Accept": "*/*",
        "Connection": "close",
    }


@pytest.mark.parametrize("body", [b"", b"x"])
async def test_small_files(site, opened, tmp_path, body):
    """Also an empty one."""
    site.acts["/"] = answer(200, body)
    assert await fetched(opened(), site.url(""), tmp_path) == body


async def test_a_body_of_unknown_length(site, opened, tmp_path):
    """In chunks, or until the connection is closed."""
    site.acts["/chunks"] = chunked(BODY[:5], BODY[5:])
    assert await fetched(opened(), site.url("/chunks"), tmp_path) == BODY
    site.acts["/closed"] = lambda request: request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + BODY)
    assert await fetched(opened(), site.url("/closed"), tmp_path) == BODY


async def test_a_proxy_of_the_environment_is_not_used(site, opened, tmp_path, monkeypatch):
    """It would decide for us which address is reached."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    site.acts["/x"] = answer(200, b"x")
    assert await fetched(opened(), site.url("/x"), tmp_path) == b"x"


@pytest.mark.parametrize("status", [404, 410])
async def test_what_is_not_there_is_missing_at_once(site, opened, tmp_path, status):
    """It is not asked for again."""
    site.acts["/x"] = answer(status)
    with pytest.raises(ObjectMissingError, match=f"/x: 127.0.0.1:{site.port} answered {status}"):
        await fetched(opened(), site.url("/x"), tmp_path)
    assert await opened().stat(Remote.parse(site.url("/x"))) is None
    assert site.asked == ["/x", "/x"]


@pytest.mark.parametrize(("status", "words"), [(400, "400"), (401, "credentials"), (403, "credentials"), (300, "300")])
async def test_a_refusal_is_final(site, opened, tmp_path, status, words):
    """With what the server said."""
    site.acts["/x"] = answer(status)
    with pytest.raises(StorageRefusedError, match=words):
        await fetched(opened(), site.url("/x"), tmp_path)
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_a_server_in_trouble_is_asked_again(site, opened, tmp_path, status):
    """Until it answers."""
    site.acts["/x"] = in_turn(answer(status, b"sorry"), answer(status), answer(200, b"there"))
    assert await fetched(opened(), site.url("/x"), tmp_path) == b"there"


async def test_a_server_that_stays_in_trouble_is_a_passing_error(site, opened, tmp_path):
    """After a few tries: the attempt may be repeated later."""
    site.acts["/x"] = answer(503)
    with pytest.raises(StorageError, match="503") as caught:
        await fetched(opened(), site.url("/x"), tmp_path)
    assert caught.value.retryable
    assert len(site.asked) == TRIES


async def test_nobody_listens(opened, tmp_path):
    """A refused connection is tried again, and then said."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(StorageError, match="refused"):
            await fetched(opened(), url, tmp_path)


async def test_a_host_that_does_not_exist_is_missing(opened, tmp_path, monkeypatch):
    """An unknown name is final; a resolver that does not answer is not."""
    errors = [socket.gaierror(socket.EAI_AGAIN, "try again"), socket.gaierror(socket.EAI_NONAME, "unknown")]
    asked = []

    def resolve(host, *_, **__):
        asked.append(host)
        raise errors.pop(0)

    monkeypatch.setattr(http_exchange.socket, "getaddrinfo", resolve)
    with pytest.raises(ObjectMissingError, match=r"there is no host nowhere\.test"):
        await fetched(opened("*"), "http://nowhere.test/x", tmp_path)
    assert asked == ["nowhere.test"] * 2


async def test_what_is_too_long_is_refused_before_it_is_read(site, opened, tmp_path):
    """By what the server says; exactly the limit is not too long."""
    site.acts["/x"] = answer(200, b"x" * 1000)
    assert len(await fetched(opened(limit=1000), site.url("/x"), tmp_path)) == 1000
    site.acts["/x"] = trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
    (tmp_path / "in" / "file").unlink()
    with pytest.raises(StorageRefusedError, match="SISYPHUS_HTTP_LIMIT_MB"):
        await fetched(opened(limit=1000), site.url("/x"), tmp_path)
    assert len(site.asked) == 2


async def test_what_turns_out_too_long_is_cut_off(site, opened, tmp_path):
    """A server that does not say how much will come is read up to the limit, and no further."""

    def endless(request):
        request.head(200, Transfer_Encoding="chunked")
        while True:
            request.wfile.write(b"10000\r\n%s\r\n" % (b"x" * 65_536))

    site.acts["/x"] = endless
    with pytest.raises(StorageRefusedError, match="SISYPHUS_HTTP_LIMIT_MB"):
        await fetched(opened(limit=MIB), site.url("/x"), tmp_path)
    assert await asyncio.to_thread(site.hung_up.wait, 20)
    assert len(site.asked) == 1


async def test_a_broken_transfer_goes_on_where_it_was(site, opened, tmp_path):
    """If the server says that the file is still the same; only the rest is asked for."""
    site.acts["/x"] = in_turn(broken(BODY, 2_000_000, ETag='"1"'), rest(BODY, '"1"'))
    moved: list[int] = []
    await opened().fetch(Remote.parse(site.url("/x")), tmp_path / "x", moved.append)
    assert (tmp_path / "x").read_bytes() == BODY
    assert site.headers[1]["Range"] == "bytes=2000000-"
    assert site.headers[1]["If-Range"] == '"1"'
    assert (sum(moved), min(moved) > 0) == (len(BODY), True)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, answer(200, BODY)),
        ({"ETag": 'W/"1"'}, answer(200, BODY)),
        ({"ETag": '"1"'}, rest(BODY, '"2"')),
        ({"ETag": '"1"'}, in_turn(answer(416), answer(200, BODY))),
        ({"ETag": '"1"'}, in_turn(answer(206, b"z", Content_Range="bytes 0-0/9"), answer(200, BODY))),
        ({"ETag": '"1"'}, in_turn(answer(206, b"z"), answer(200, BODY))),
    ],
    ids=["no etag", "weak", "changed", "no such part", "another part", "nameless part"],
)
async def test_a_broken_transfer_starts_anew_otherwise(site, opened, tmp_path, first, then):
    """Two halves of different files are never put together; the count of bytes goes back with it."""
    site.acts["/x"] = in_turn(broken(b"y" * len(BODY), 2_000_000, **first), then)
    moved: list[int] = []
    await opened().fetch(Remote.parse(site.url("/x")), tmp_path / "x", moved.append)
    assert (tmp_path / "x").read_bytes() == BODY
    assert (sum(moved), min(moved)) == (len(BODY), -2_000_000)


async def test_a_transfer_that_always_breaks_is_given_up(site, opened, tmp_path):
    """An early end is never a whole file, also where only the last chunk is missing."""
    for act in (broken(BODY, len(BODY) - 1), chunked(BODY, ends=False)):
        site.acts["/x"], site.asked[:] = act, []
        with pytest.raises(StorageError):
            await fetched(opened(), site.url("/x"), tmp_path)
        assert len(site.asked) == TRIES


async def test_a_file_that_is_another_one_each_time_is_given_up(site, opened, tmp_path):
    """Much comes each time, but never more of the same file: its tries are counted, or it would never end."""

    def act(request):
        request.head(200, len(BODY), ETag=f'"{len(site.asked)}"')
        request.wfile.write(BODY[:1_200_000])

    site.acts["/x"] = act
    with pytest.raises(StorageError):
        await fetched(opened(), site.url("/x"), tmp_path)
    assert len(site.asked) <= TRIES + 1


async def test_an_impossible_date_is_no_date(site, opened, tmp_path):
    """What a server says of itself cannot break a fetch."""
    site.acts["/x"] = answer(200, b"x", Last_Modified="Mon, 01 Jan 2024 00:00:00 +99999999999999")
    assert await fetched(opened(), site.url("/x"), tmp_path) == b"x"


async def test_each_try_that_brings_much_earns_new_ones(site, opened, tmp_path):
    """A long file over a bad line arrives although it breaks more often than a call is tried."""
    body, etag = BODY * 3, '"1"'
    whole = rest(body, etag)

    def act(request):
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if start + 1_100_000 >= len(body):
            whole(request)
            return
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        request.head(206 if start else 200, len(body) - start, ETag=etag, Content_Range=span)
        request.wfile.write(body[start : start + 1_100_000])

    site.acts["/x"] = act
    assert await fetched(opened(), site.url("/x"), tmp_path) == body
    assert len(site.asked) > TRIES


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 2",
        b"",
    ],
    ids=["body", "chunk", "trailer", "header", "status", "nothing"],
)
async def test_a_trickle_is_given_up(site, opened, tmp_path, first, monkeypatch, responses):
    """A server that keeps sending a little cannot hold a node for ever, wherever in its answer it does so."""
    monkeypatch.setattr(http_exchange, "ANSWER_S", 0.3)
    monkeypatch.setattr(http_exchange, "GRACE_S", 0.3)
    site.acts["/x"] = trickle(first)
    with pytest.raises(StorageError, match="too slow"):
        await fetched(opened(), site.url("/x"), tmp_path)
    assert len(site.asked) == TRIES
    assert [response.isclosed() for response in responses] == [True] * TRIES


async def test_silence_is_given_up(site, opened, tmp_path, monkeypatch):
    """A server that stops in the middle and does not close."""
    monkeypatch.setattr(http_exchange, "IDLE_S", 0.2)
    site.acts["/x"] = silent
    with pytest.raises(StorageError, match="nothing came"):
        await fetched(opened(), site.url("/x"), tmp_path)


async def test_garbage_is_a_passing_error(opened, tmp_path):
    """Whatever else answers at that port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for garbage in (b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200):
                with server.accept()[0] as taken:
                    taken.recv(1000)
                    taken.sendall(garbage)
            with server.accept()[0] as taken:
                taken.recv(1000)
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        thread = threading.Thread(target=serve)
        thread.start()
        assert await fetched(opened(), f"http://127.0.0.1:{server.getsockname()[1]}/", tmp_path) == b"ok"
        thread.join(20)


async def test_a_canceled_fetch_ends_and_leaves_nothing(site, opened, tmp_path):
    """Although the server is silent; the connection is closed with it."""
    site.acts["/x"] = silent
    fetching = asyncio.create_task(fetched(opened(), site.url("/x"), tmp_path))
    async with asyncio.timeout(20):
        while not site.asked:
            await asyncio.sleep(0.01)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert await asyncio.to_thread(site.hung_up.wait, 20)


async def test_stat_tells_size_and_time(site, opened):
    """Without reading the body; where the server does not say its length, it cannot."""
    site.acts["/x"] = trickle(
        b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n"
    )
    info = await opened().stat(Remote.parse(site.url("/x")))
    assert (info.size_bytes, info.modified.year, info.sha256) == (77, 2015, None)
    site.acts["/y"] = chunked(b"x")
    with pytest.raises(StorageRefusedError, match="how long"):
        await opened().stat(Remote.parse(site.url("/y")))


async def test_nothing_else_can_be_done(site, opened, tmp_path):
    """No listing, no storing, no copying, no deleting; each says so."""
    store, remote = opened(), Remote.parse(site.url("/x"))
    (tmp_path / "x").write_bytes(b"x")
    for call in (store.store(tmp_path / "x", remote), store.copy(remote, remote), store.delete([remote])):
        with pytest.raises(StorageRefusedError, match="one file to read"):
            await call
    with pytest.raises(StorageRefusedError, match="one file to read"):
        _ = [x async for x in store.list(remote)]
    assert await store.buckets() == ()
    await store.delete([])
    assert site.asked == []
