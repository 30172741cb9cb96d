"""What the S3 store makes of a server that fails, lies, hangs or refuses; a real one behind a proxy with faults."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import s3_objects
from infra.errors import (
    ChecksumError,
    ConfigurationError,
    ObjectMissingError,
    StorageError,
    StorageRefusedError,
)
from infra.object_store import ObjectStore
from infra.object_stores.s3 import open_store
from infra.s3_wire import Part, Place
from schemas.paths import Remote, Scheme
from tests.doubles.fault_proxy import Fault, FaultProxy
from tests.doubles.s3_server import KEY, SECRET, s3_port, s3_url_at, versitygw

__all__ = ["s3_port", "versitygw"]  # fixtures
pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

_MIB = 1024 * 1024


@pytest.fixture
async def proxy(s3_port: int) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", s3_port) as opened:
        yield opened


@pytest.fixture
async def opened() -> AsyncIterator[Callable[[str], ObjectStore]]:
    """Opens stores that are closed at the end."""
    stores: list[ObjectStore] = []

    def open_one(url: str) -> ObjectStore:
        stores.append(open_store(url))
        return stores[-1]

    yield open_one
    for store in stores:
        await store.close()


Opened = Callable[[str], ObjectStore]


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(Scheme.BUCKET, f"f{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}", "dir/x")


@pytest.fixture
def raw(s3_port: int) -> Any:
    """The vendor's client, as a foreign program would use it."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{s3_port}",
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


def _file(folder: Path, size: int) -> Path:
    path = folder / f"source-{size}"
    path.write_bytes(os.urandom(size))
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [1000, 20 * _MIB])
async def test_passing_failures_are_tried_again(
    proxy: FaultProxy, opened: Opened, remote: Remote, tmp_path: Path, size: int
) -> None:
    """A server that answers 500 and 503 for a moment costs time, not the transfer."""
    source = _file(tmp_path, size)
    proxy.plan += [Fault(status=503), Fault(status=500), Fault(cut_answer_at=0)]
    stored = await opened(s3_url_at(proxy.port)).store(source, remote)
    assert stored.sha256 == _sha256(source)
    proxy.plan += [Fault(status=503), Fault(status=502)]
    assert await opened(s3_url_at(proxy.port)).fetch(remote, tmp_path / "target") == stored
    proxy.plan += [Fault(status=500)]
    assert await opened(s3_url_at(proxy.port)).stat(remote) == stored
    assert not proxy.plan


async def test_a_fetch_goes_on_where_it_broke(
    proxy: FaultProxy, opened: Opened, remote: Remote, tmp_path: Path
) -> None:
    """Cut six times, more often than a call is tried, an object arrives whole, each byte counted once."""
    source, moved = _file(tmp_path, 30 * _MIB), list[int]()
    await opened(s3_url_at(proxy.port)).store(source, remote)
    before = proxy.connections
    proxy.plan += [Fault(cut_answer_at=4 * _MIB) for _ in range(6)]
    await opened(s3_url_at(proxy.port)).fetch(remote, tmp_path / "target", moved.append)
    assert _sha256(tmp_path / "target") == _sha256(source)
    assert sum(moved) == 30 * _MIB
    assert proxy.connections - before == 7


async def test_an_object_replaced_while_a_fetch_is_broken(
    proxy: FaultProxy, opened: Opened, remote: Remote, tmp_path: Path
) -> None:
    """Halves of two objects are never joined."""
    store = opened(s3_url_at(proxy.port))
    await store.store(_file(tmp_path, 20 * _MIB), remote)
    other = _file(tmp_path, 20 * _MIB - 1)
    reader = opened(s3_url_at(proxy.port))
    proxy.plan += [Fault(cut_answer_at=8 * _MIB), Fault(hangs=True)]
    fetching = asyncio.create_task(reader.fetch(remote, tmp_path / "target"))
    await proxy.hanging.wait()
    await store.store(other, remote)
    proxy.release.set()
    with pytest.raises(StorageError, match="replaced"):
        await fetching
    assert not (tmp_path / "target").exists()


async def test_a_byte_that_turns_on_the_way_down_is_noticed(
    proxy: FaultProxy, opened: Opened, remote: Remote, tmp_path: Path
) -> None:
    """A damaged answer is an error, and nothing is left that could be taken for the object."""
    await opened(s3_url_at(proxy.port)).store(_file(tmp_path, 2 * _MIB), remote)
    proxy.plan += [Fault(flip_answer_at=_MIB)]
    with pytest.raises(ChecksumError, match="dir/x"):
        await opened(s3_url_at(proxy.port)).fetch(remote, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == [f"source-{2 * _MIB}"]


@pytest.mark.parametrize("size", [_MIB, 20 * _MIB])
async def test_a_byte_that_turns_on_the_way_up_is_repaired(
    proxy: FaultProxy, opened: Opened, remote: Remote, tmp_path: Path, size: int
) -> None:
    """The server refuses the damaged piece, and it is sent again."""
    source = _file(tmp_path, size)
    first = opened(s3_url_at(proxy.port))
    await first.store(_file(tmp_path, 10), remote)  # now the bucket exists
    proxy.plan += [Fault(flip_request_at=_MIB // 2)]
    assert (await opened(s3_url_at(proxy.port)).store(source, remote)).sha256 == _sha256(source)
    await first.fetch(remote, tmp_path / "target")
    assert _sha256(tmp_path / "target") == _sha256(source)


async def test_an_object_that_is_not_what_it_says(
    s3_port: int, opened: Opened, remote: Remote, raw: Any, tmp_path: Path
) -> None:
    """An object whose bytes do not match the digest that it carries is refused."""
    store = opened(s3_url_at(s3_port))
    await store.store(_file(tmp_path, 10), remote)
    raw.put_object(Bucket=remote.bucket, Key=remote.key, Body=b"tampered", Metadata={"sha256": "0" * 64})
    with pytest.raises(ChecksumError):
        await store.fetch(remote, tmp_path / "target")
    assert not (tmp_path / "target").exists()


async def test_objects_of_others(s3_port: int, opened: Opened, remote: Remote, raw: Any, tmp_path: Path) -> None:
    """What a foreign program stored has no digest until it is fetched; its placeholders of directories are left out."""
    store = opened(s3_url_at(s3_port))
    await store.store(_file(tmp_path, 10), remote)
    raw.put_object(Bucket=remote.bucket, Key="foreign", Body=b"foreign")
    raw.put_object(Bucket=remote.bucket, Key="placeholder/", Body=b"")
    assert [info.remote.key async for info in store.list(remote.beside(""))] == ["dir/x", "foreign"]
    info = await store.stat(remote.beside("foreign"))
    assert info is not None
    assert info.sha256 is None
    assert (await store.copy(remote.beside("foreign"), remote.beside("copy"))).size_bytes == 7
    fetched = await store.fetch(remote.beside("copy"), tmp_path / "target")
    assert fetched.sha256 == hashlib.sha256(b"foreign").hexdigest()


async def test_a_wrong_secret_is_refused(
    s3_port: int, opened: Opened, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong or missing credentials are an error that says what to check, at once, and never shows them."""
    source = _file(tmp_path, 10)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    store = opened(s3_url_at(s3_port))
    for call in (
        lambda: store.store(source, remote),
        lambda: store.fetch(remote, tmp_path / "target"),
        lambda: store.stat(remote),
        lambda: store.buckets(),
    ):
        with pytest.raises(StorageRefusedError, match="AWS_SECRET_ACCESS_KEY") as error:
            await call()
        assert "hunter2" not in f"{error.value} {error.value.__cause__}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    with pytest.raises(StorageRefusedError, match="AWS_ACCESS_KEY_ID"):
        await opened(s3_url_at(s3_port)).store(source, remote)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageRefusedError, match="AWS_ACCESS_KEY_ID"):
        await opened(s3_url_at(s3_port)).store(source, remote)


async def test_a_server_that_is_down(s3_port: int, opened: Opened, remote: Remote, tmp_path: Path) -> None:
    """Nobody listening is a retryable error that names the endpoint, within a bounded time."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        async with asyncio.timeout(60):
            with pytest.raises(StorageError, match=f"127.0.0.1:{port}") as error:
                await opened(s3_url_at(port)).store(_file(tmp_path, 10), remote)
    assert error.value.retryable


async def test_cancelling_does_not_wait_for_a_server_that_hangs(
    proxy: FaultProxy, opened: Opened, remote: Remote, tmp_path: Path
) -> None:
    """A cancelled call returns soon, though its thread still hangs on the connection."""
    proxy.plan += [Fault(hangs=True)]
    storing = asyncio.create_task(opened(s3_url_at(proxy.port)).store(_file(tmp_path, 10), remote))
    await proxy.hanging.wait()
    storing.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await storing


async def test_cancelling_aborts_the_upload(
    s3_port: int, opened: Opened, remote: Remote, raw: Any, tmp_path: Path
) -> None:
    """No parts stay behind that nobody will finish."""
    store, moving = opened(s3_url_at(s3_port)), asyncio.Event()
    storing = asyncio.create_task(store.store(_file(tmp_path, 64 * _MIB), remote, lambda _: moving.set()))
    await moving.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert "Uploads" not in raw.list_multipart_uploads(Bucket=remote.bucket)
    assert await store.stat(remote) is None


async def test_a_file_that_changes_meanwhile(
    s3_port: int, opened: Opened, remote: Remote, raw: Any, tmp_path: Path
) -> None:
    """A large file that is rewritten while it is sent is an error, not an object that never existed."""
    store, source = opened(s3_url_at(s3_port)), _file(tmp_path, 64 * _MIB)
    changed = asyncio.Event()

    def change(_: int) -> None:
        if not changed.is_set():
            changed.set()
            with source.open("r+b") as file:
                file.seek(-10, os.SEEK_END)
                file.write(b"0123456789")

    with pytest.raises((ChecksumError, StorageRefusedError), match="dir/x"):
        await store.store(source, remote, change)
    assert await store.stat(remote) is None
    assert "Uploads" not in raw.list_multipart_uploads(Bucket=remote.bucket)


@pytest.mark.parametrize("server_remembers", [True, False])
async def test_a_lost_answer_to_the_last_call(
    s3_port: int,
    opened: Opened,
    remote: Remote,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server_remembers: bool,
) -> None:
    """The upload was finished and its answer lost; whatever the second try is told, the object is what counts."""
    store, source = opened(s3_url_at(s3_port)), _file(tmp_path, 20 * _MIB)
    wire: Any = getattr(store, "_wire")  # noqa: B009
    finish, calls = wire.finish_upload, list[str]()

    def losing(at: Place, upload: str, parts: list[Part]) -> None:
        calls.append(upload)
        if len(calls) > 1 and not server_remembers:
            raise ObjectMissingError("there is no such upload")
        finish(at, upload, parts)
        if len(calls) == 1:
            raise StorageError("the answer was lost")

    monkeypatch.setattr(wire, "finish_upload", losing)
    assert (await store.store(source, remote)).sha256 == _sha256(source)
    assert len(calls) == 2


async def test_a_huge_object_is_copied_in_pieces(
    s3_port: int, opened: Opened, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the bound of one call, the server copies piece by piece, and the digest stays."""
    monkeypatch.setattr(s3_objects, "_COPY_WHOLE", 8 * _MIB)
    monkeypatch.setattr(s3_objects, "_COPY_PART", 6 * _MIB)
    store, source = opened(s3_url_at(s3_port)), _file(tmp_path, 20 * _MIB)
    await store.store(source, remote)
    assert (await store.copy(remote, remote.beside("copy"))).sha256 == _sha256(source)
    await store.fetch(remote.beside("copy"), tmp_path / "target")
    assert _sha256(tmp_path / "target") == _sha256(source)


async def test_an_unknown_bucket_is_made_only_if_allowed(
    s3_port: int, opened: Opened, remote: Remote, tmp_path: Path
) -> None:
    """Without create_buckets, writing says what to do; reading finds nothing."""
    store = opened(s3_url_at(s3_port, create_buckets=False))
    with pytest.raises(StorageRefusedError, match="create_buckets=true"):
        await store.store(_file(tmp_path, 10), remote)
    with pytest.raises(ObjectMissingError):
        await store.fetch(remote, tmp_path / "target")


async def test_all_buckets_inside_one(s3_port: int, opened: Opened, remote: Remote, tmp_path: Path) -> None:
    """With a bucket in the URL, ours are prefixes in it, while s3:// remotes mean themselves."""
    store, whole = opened(s3_url_at(s3_port, place=f"{remote.bucket}/team")), opened(s3_url_at(s3_port))
    await store.store(_file(tmp_path, 10), Remote.parse("reports:a/b"))
    await store.store(_file(tmp_path, 11), Remote.parse("data:c"))
    assert list(await store.buckets()) == ["data", "reports"]
    assert [str(info.remote) async for info in store.list(Remote.parse("reports:a"))] == ["reports:a/b"]
    keys = [info.remote.key async for info in whole.list(remote.beside(""))]
    assert keys == ["team/data/c", "team/reports/a/b"]
    direct = await store.stat(Remote.parse(f"s3://{remote.bucket}/team/reports/a/b"))
    assert direct is not None
    assert direct.size_bytes == 10


@pytest.mark.parametrize("url", ["s3://key:hunter2@bucket", "s3://?endpoint=http://x&secret=hunter2"])
def test_a_wrong_url_is_refused_without_showing_it(url: str) -> None:
    """Credentials or unknown options in the URL are an error that says where they belong."""
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY") as error:
        open_store(url)
    assert "hunter2" not in str(error.value)
