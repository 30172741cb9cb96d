"""What every object store must do, run over the registry; S3 is versitygw in a container of its own."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.errors import ObjectMissingError, StorageError, StorageRefusedError
from infra.object_store import OBJECT_STORES, ObjectStore
from infra.registry import resolve
from schemas.paths import Remote, Scheme
from tests.doubles.s3_server import s3_port, s3_url_at, versitygw

pytestmark = pytest.mark.timeout(180)

_MIB = 1024 * 1024
__all__ = ["s3_port", "versitygw"]  # fixtures


@pytest.fixture
def s3_url(s3_port: int) -> str:
    return s3_url_at(s3_port)


@pytest.fixture(params=sorted(OBJECT_STORES))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store for each scheme of the registry; a new scheme needs one here."""
    if request.param == "file":
        return f"file://{tmp_path / 'objects'}"
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def store(url: str) -> AsyncIterator[ObjectStore]:
    opened: ObjectStore = resolve(OBJECT_STORES, url, "object store")(url)
    yield opened
    await opened.close()


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    """A bucket that nobody else uses."""
    return f"b{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"


class Files:
    """Makes source files and remotes of one bucket."""

    def __init__(self, folder: Path, bucket: str) -> None:
        self.folder, self.bucket, self._count = folder, bucket, 0

    def make(self, content: bytes) -> Path:
        self._count += 1
        path = self.folder / f"source-{self._count}"
        path.write_bytes(content)
        return path

    def remote(self, key: str) -> Remote:
        return Remote(Scheme.BUCKET, self.bucket, key)

    @property
    def target(self) -> Path:
        self._count += 1
        (self.folder / "targets").mkdir(exist_ok=True)
        return self.folder / "targets" / f"{self._count}"


@pytest.fixture
def files(tmp_path: Path, bucket: str) -> Files:
    return Files(tmp_path, bucket)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def _keys(store: ObjectStore, prefix: Remote) -> list[str]:
    return [info.remote.key async for info in store.list(prefix)]


async def test_what_is_stored_can_be_looked_at_and_fetched(store: ObjectStore, files: Files) -> None:
    """Size and digest are told at once and later, and the bytes come back."""
    content, remote = b"hello\x00\xff" * 100, files.remote("reports/annual.txt")
    stored = await store.store(files.make(content), remote)
    assert (stored.remote, stored.size_bytes, stored.sha256) == (remote, len(content), _sha256(content))
    assert await store.stat(remote) == stored
    target = files.target
    assert await store.fetch(remote, target) == stored
    assert target.read_bytes() == content
    assert stored.modified.tzinfo is not None


async def test_an_empty_object(store: ObjectStore, files: Files) -> None:
    """No bytes are an object too."""
    stored = await store.store(files.make(b""), files.remote("empty"))
    assert (stored.size_bytes, stored.sha256) == (0, _sha256(b""))
    target = files.target
    await store.fetch(files.remote("empty"), target)
    assert target.read_bytes() == b""


@pytest.mark.parametrize(
    "key",
    [
        "a b/c d.txt",
        "grüße/日本語/😀.txt",
        "we'ird\"&?#%=+$,;:@~!*()[]{}|^`\\<>",
        "%2e%2e/x",
        "a.b-c_d",
        "-rf",
        "*",
        "k" * 200,
    ],
)
async def test_odd_keys(store: ObjectStore, files: Files, key: str) -> None:
    """Keys keep every character, on all calls."""
    remote, content = files.remote(key), key.encode()
    await store.store(files.make(content), remote)
    info = await store.stat(remote)
    assert info is not None
    assert info.sha256 == _sha256(content)
    assert await _keys(store, files.remote("")) == [key]
    target = files.target
    await store.fetch(remote, target)
    assert target.read_bytes() == content
    await store.copy(remote, files.remote(f"copy/{key}"))
    await store.delete([remote, files.remote(f"copy/{key}")])
    assert await _keys(store, files.remote("")) == []


async def test_the_list_is_in_key_order_and_obeys_the_prefix(store: ObjectStore, files: Files) -> None:
    """Keys come in the order of their bytes, not of directories, with size, and a prefix may end anywhere."""
    keys = ["a", "a-b/x", "a.txt", "ab/c/d", "ab/c0", "ab/é", "ab0", "b"]
    for key in reversed(keys):
        await store.store(files.make(key.encode()), files.remote(key))
    assert await _keys(store, files.remote("")) == keys
    assert await _keys(store, files.remote("a")) == keys[:-1]
    assert await _keys(store, files.remote("ab/")) == ["ab/c/d", "ab/c0", "ab/é"]
    assert await _keys(store, files.remote("ab/c")) == ["ab/c/d", "ab/c0"]
    assert await _keys(store, files.remote("zz/")) == []
    assert [info.size_bytes async for info in store.list(files.remote("ab/c/"))] == [6]


async def test_more_than_a_page_of_keys(store: ObjectStore, files: Files) -> None:
    """A list goes on behind the first thousand keys, and a delete takes as many at once."""
    source = files.make(b"x")
    remotes = [files.remote(f"many/{number:04d}") for number in range(1100)]
    gate = asyncio.Semaphore(16)

    async def put(remote: Remote) -> None:
        async with gate:
            await store.store(source, remote)

    async with asyncio.TaskGroup() as group:
        for remote in remotes:
            group.create_task(put(remote))
    assert await _keys(store, files.remote("many/")) == [remote.key for remote in remotes]
    await store.delete([*remotes, files.remote("many/missing")])
    assert await _keys(store, files.remote("")) == []


async def test_buckets_are_listed(store: ObjectStore, files: Files) -> None:
    """A bucket exists once something was stored in it."""
    assert files.bucket not in await store.buckets()
    await store.store(files.make(b"x"), files.remote("x"))
    names = await store.buckets()
    assert files.bucket in names
    assert list(names) == sorted(names)


async def test_a_large_object_goes_through_in_parts(store: ObjectStore, files: Files) -> None:
    """64 MiB and a bit, both ways, with every byte reported once, on the loop."""
    content = os.urandom(_MIB) * 64 + b"tail"
    loop, moved = asyncio.get_running_loop(), list[int]()

    def on_bytes(count: int) -> None:
        assert asyncio.get_running_loop() is loop
        moved.append(count)

    stored = await store.store(files.make(content), files.remote("large"), on_bytes)
    assert stored.sha256 == _sha256(content)
    assert sum(moved) == len(content)
    assert len(moved) > 4
    moved.clear()
    target = files.target
    fetched = await store.fetch(files.remote("large"), target, on_bytes)
    assert sum(moved) == len(content)
    assert fetched.sha256 == stored.sha256
    assert target.read_bytes() == content


async def test_missing_objects(store: ObjectStore, files: Files) -> None:
    """What does not exist is None, an error or nothing to delete, with and without its bucket."""
    for _ in range(2):
        assert await store.stat(files.remote("no")) is None
        assert await _keys(store, files.remote("")) == []
        for call in (store.fetch(files.remote("no"), files.target), store.copy(files.remote("no"), files.remote("b"))):
            with pytest.raises(ObjectMissingError, match="no"):
                await call
        await store.delete([files.remote("no")])
        await store.store(files.make(b"x"), files.remote("yes"))
        await store.delete([files.remote("yes")])
    assert not list((files.folder / "targets").iterdir())


async def test_a_prefix_is_no_object(store: ObjectStore, files: Files) -> None:
    """A directory can be listed but neither looked at, fetched nor written."""
    await store.store(files.make(b"x"), files.remote("dir/x"))
    assert await store.stat(files.remote("dir")) is None
    assert await store.stat(files.remote("dir/")) is None
    with pytest.raises(ObjectMissingError):
        await store.fetch(files.remote("dir"), files.target)
    with pytest.raises(StorageRefusedError, match="must not end in '/'"):
        await store.store(files.make(b"x"), files.remote("dir/"))
    with pytest.raises(StorageRefusedError, match="must not end in '/'"):
        await store.copy(files.remote("dir/x"), files.remote("dir2/"))


@pytest.mark.parametrize("key", ["../x", "a/../../x", "a//b", "/etc/passwd", ".", "a/./b", "..", "a/.."])
async def test_keys_that_escape_are_refused(store: ObjectStore, files: Files, key: str) -> None:
    """No call follows a key out of its bucket, however the remote was made."""
    remote = files.remote(key)
    with pytest.raises(StorageRefusedError):
        await store.store(files.make(b"x"), remote)
    with pytest.raises(StorageRefusedError):
        await store.fetch(remote, files.target)
    with pytest.raises(StorageRefusedError):
        await store.delete([remote])


async def test_an_object_and_a_prefix_of_one_name_are_refused(store: ObjectStore, files: Files) -> None:
    """Stores on a file system cannot have 'a' and 'a/b', and say so instead of losing one."""
    await store.store(files.make(b"a"), files.remote("a"))
    with pytest.raises(StorageRefusedError):
        await store.store(files.make(b"b"), files.remote("a/b"))
    await store.store(files.make(b"d"), files.remote("c/d"))
    with pytest.raises(StorageRefusedError):
        await store.store(files.make(b"c"), files.remote("c"))
    assert await _keys(store, files.remote("")) == ["a", "c/d"]


async def test_a_source_that_is_no_file(store: ObjectStore, files: Files) -> None:
    """A missing file, a directory and a FIFO end in an error at once."""
    os.mkfifo(files.folder / "fifo")
    for name in ("missing", ".", "fifo"):
        with pytest.raises((ObjectMissingError, StorageRefusedError)):
            await store.store(files.folder / name, files.remote("x"))
    assert await store.stat(files.remote("x")) is None


async def test_overwriting_and_copying(store: ObjectStore, files: Files) -> None:
    """A copy has the digest of its source and does not follow it afterwards; a copy onto itself is harmless."""
    await store.store(files.make(b"old"), files.remote("a"))
    copied = await store.copy(files.remote("a"), Remote(Scheme.BUCKET, f"{files.bucket}-2", "deep/copy"))
    assert (copied.size_bytes, copied.sha256) == (3, _sha256(b"old"))
    await store.store(files.make(b"newer"), files.remote("a"))
    assert (await store.copy(files.remote("a"), files.remote("a"))).sha256 == _sha256(b"newer")
    await store.copy(copied.remote, files.remote("a"))
    target = files.target
    await store.fetch(files.remote("a"), target)
    assert target.read_bytes() == b"old"


async def test_a_large_object_is_copied(store: ObjectStore, files: Files) -> None:
    """What was stored in parts keeps its digest when copied."""
    content = os.urandom(_MIB) * 20
    await store.store(files.make(content), files.remote("a"))
    assert (await store.copy(files.remote("a"), files.remote("b"))).sha256 == _sha256(content)
    target = files.target
    assert (await store.fetch(files.remote("b"), target)).sha256 == _sha256(content)


@pytest.mark.parametrize("size", [1000, 9 * _MIB])
async def test_readers_see_all_or_nothing(store: ObjectStore, files: Files, size: int) -> None:
    """While two contents replace each other, every reader gets one of them, whole."""
    sources = [files.make(bytes([letter]) * size) for letter in b"ab"]
    digests = {_sha256(source.read_bytes()) for source in sources}
    remote = files.remote("contended")
    await store.store(sources[0], remote)
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(12):
            await store.store(sources[turn % 2], remote)
        done.set()

    async def read(target: Path) -> int:
        count = 0
        while not done.is_set():
            try:
                info = await store.fetch(remote, target)
            except StorageError:  # replaced while the connection was being resumed
                continue
            assert info.sha256 == _sha256(target.read_bytes())
            assert info.sha256 in digests
            count += 1
        return count

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        readers = [group.create_task(read(files.target)) for _ in range(3)]
    assert all(reader.result() > 0 for reader in readers)


async def test_cancelling_a_store_leaves_nothing(store: ObjectStore, files: Files) -> None:
    """An object whose store was cancelled half way does not exist, and the next try succeeds."""
    source, moving = files.make(os.urandom(_MIB) * 64), asyncio.Event()
    storing = asyncio.create_task(store.store(source, files.remote("x"), lambda _: moving.set()))
    await moving.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert await store.stat(files.remote("x")) is None
    assert await _keys(store, files.remote("")) == []
    assert (await store.store(source, files.remote("x"))).size_bytes == 64 * _MIB


async def test_cancelling_a_fetch_leaves_nothing(store: ObjectStore, files: Files) -> None:
    """The target and its unfinished part are gone when the cancelled call returns."""
    await store.store(files.make(os.urandom(_MIB) * 64), files.remote("x"))
    target, moving = files.target, asyncio.Event()
    fetching = asyncio.create_task(store.fetch(files.remote("x"), target, lambda _: moving.set()))
    await moving.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert list(target.parent.iterdir()) == []


async def test_closing_twice_is_harmless(store: ObjectStore, files: Files) -> None:
    """Close is idempotent."""
    await store.store(files.make(b"x"), files.remote("x"))
    await store.close()
    await store.close()
