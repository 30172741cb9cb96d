"""What the local object store makes of links, strange names, crashes and damage in its directory."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.errors import ChecksumError, ConfigurationError, ObjectMissingError, StorageError, StorageRefusedError
from infra.files import PART
from infra.object_store import ObjectStore
from infra.object_stores.local import open_store
from schemas.paths import Remote, Scheme


def _bucket(key: str) -> Remote:
    return Remote(Scheme.BUCKET, "bucket", key)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "with space & %41" / "objects"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[ObjectStore]:
    opened = open_store(f"file://{root}")
    yield opened
    await opened.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path


async def _keys(store: ObjectStore, prefix: Remote) -> list[str]:
    return [info.remote.key async for info in store.list(prefix)]


async def test_objects_are_plain_files(store: ObjectStore, source: Path, root: Path) -> None:
    """bucket:key is <root>/<bucket>/<key>, and nothing else lies there."""
    await store.store(source, _bucket("a/b"))
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "bucket" / "a" / "b"]
    assert (root / "bucket" / "a" / "b").read_bytes() == b"content"


async def test_nothing_is_written_before_it_is_used(store: ObjectStore, root: Path) -> None:
    """A store whose root does not exist is empty."""
    assert list(await store.buckets()) == []
    assert await _keys(store, _bucket("")) == []
    assert not root.exists()


async def test_links_that_leave_are_not_followed(store: ObjectStore, source: Path, root: Path, tmp_path: Path) -> None:
    """Neither reading, writing, listing nor deleting goes through a link to the outside."""
    await store.store(source, _bucket("inside"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "bucket" / "file").symlink_to(outside / "secret")
    (root / "bucket" / "dir").symlink_to(outside)
    for key in ("file", "dir/secret"):
        with pytest.raises(StorageRefusedError, match="symbolic link"):
            await store.fetch(_bucket(key), tmp_path / "target")
        with pytest.raises(StorageRefusedError, match="symbolic link"):
            await store.stat(_bucket(key))
    with pytest.raises(StorageRefusedError, match="symbolic link"):
        await store.store(source, _bucket("dir/new"))
    with pytest.raises(StorageRefusedError, match="symbolic link"):
        await store.delete([_bucket("dir/secret")])
    with pytest.raises(StorageRefusedError, match="symbolic link"):
        await _keys(store, _bucket("dir/"))
    assert await _keys(store, _bucket("")) == ["inside"]
    assert [path.name for path in outside.iterdir()] == ["secret"]
    await store.store(source, _bucket("file"))
    assert (outside / "secret").read_text() == "secret"


async def test_links_inside(store: ObjectStore, source: Path, root: Path, tmp_path: Path) -> None:
    """A link to an object is that object; links in a circle and to directories are not walked."""
    await store.store(source, _bucket("real/x"))
    (root / "bucket" / "latest").symlink_to("real/x")
    (root / "bucket" / "loop").symlink_to(".")
    (root / "bucket" / "circle").symlink_to("circle")
    assert await _keys(store, _bucket("")) == ["latest", "real/x"]
    assert (await store.fetch(_bucket("latest"), tmp_path / "target")).size_bytes == 7
    with pytest.raises(StorageRefusedError):
        await store.fetch(_bucket("circle"), tmp_path / "target")


async def test_damage_on_the_disk_is_noticed(store: ObjectStore, source: Path, root: Path, tmp_path: Path) -> None:
    """Bytes that changed though nobody wrote the file are an error, also when they are copied on."""
    await store.store(source, _bucket("x"))
    path = root / "bucket" / "x"
    before = path.stat()
    path.write_bytes(b"cOntent")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ChecksumError, match="bucket:x"):
        await store.fetch(_bucket("x"), tmp_path / "target")
    assert not (tmp_path / "target").exists()
    await store.copy(_bucket("x"), _bucket("y"))
    with pytest.raises(ChecksumError, match="bucket:y"):
        await store.fetch(_bucket("y"), tmp_path / "target")


async def test_what_an_operator_edits_is_a_new_object(
    store: ObjectStore, source: Path, root: Path, tmp_path: Path
) -> None:
    """A file that was put or edited by hand is fetched as it is; its digest is unknown until then."""
    await store.store(source, _bucket("x"))
    with (root / "bucket" / "x").open("ab") as file:
        file.write(b"!")
    info = await store.stat(_bucket("x"))
    assert info is not None
    assert (info.size_bytes, info.sha256) == (8, None)
    fetched = await store.fetch(_bucket("x"), tmp_path / "target")
    assert fetched.sha256 == hashlib.sha256(b"content!").hexdigest()
    assert (await store.copy(_bucket("x"), _bucket("y"))).sha256 == fetched.sha256


async def test_names_that_no_remote_can_spell_are_left_out(store: ObjectStore, source: Path, root: Path) -> None:
    """Foreign files with control characters or broken UTF-8 in their names, and special files, do not stop a list."""
    await store.store(source, _bucket("good"))
    folder = os.fsencode(root / "bucket")
    for name in (b"new\nline", b"latin-\xe9", b"bell\x07"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"")
    os.mkfifo(root / "bucket" / "fifo")
    assert await _keys(store, _bucket("")) == ["good"]
    with pytest.raises(StorageRefusedError, match="regular"):
        await store.fetch(_bucket("fifo"), root / "target")


async def test_names_that_the_file_system_refuses(store: ObjectStore, source: Path) -> None:
    """A part of a key above 255 bytes and text that is no Unicode are clear errors."""
    with pytest.raises(StorageRefusedError, match="255 bytes"):
        await store.store(source, _bucket("x/" + "é" * 128))
    with pytest.raises(StorageRefusedError, match="255 bytes"):
        await store.stat(_bucket("k" * 256))
    with pytest.raises(StorageRefusedError, match="Unicode"):
        await store.store(source, _bucket("\ud800"))
    with pytest.raises(StorageRefusedError):
        await store.store(source, _bucket(f"{PART}x"))


async def test_what_a_crash_left_is_never_listed_and_swept_later(store: ObjectStore, source: Path, root: Path) -> None:
    """An unfinished file is no object; an old one is removed by the next list, a fresh one may have a live writer."""
    await store.store(source, _bucket("x"))
    old, fresh = root / "bucket" / f"{PART}old", root / "bucket" / f"{PART}fresh"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    assert await _keys(store, _bucket("")) == ["x"]
    assert (old.exists(), fresh.exists()) == (False, True)


async def test_a_full_disk(store: ObjectStore, source: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails is a retryable error that says what to do, and leaves neither file nor directory."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="free some space") as error:
        await store.store(source, _bucket("deep/er/x"))
    assert error.value.retryable
    assert [path.name for path in root.rglob("*")] == ["bucket"]


async def test_deleting_the_last_object_removes_its_directories(store: ObjectStore, source: Path, root: Path) -> None:
    """Prefixes live as long as their objects; then their names are free again."""
    await store.store(source, _bucket("a/b/c"))
    await store.store(source, _bucket("a/d"))
    await store.delete([_bucket("a/b/c"), _bucket("a/b/c"), _bucket("a/")])
    assert sorted(path.name for path in root.rglob("*")) == ["a", "bucket", "d"]
    await store.delete([_bucket("a/d")])
    await store.store(source, _bucket("a"))
    assert await _keys(store, _bucket("")) == ["a"]


async def test_file_remotes_are_absolute_paths(store: ObjectStore, source: Path, tmp_path: Path) -> None:
    """file:///x is the file itself, whatever the root; listing gives absolute keys, deleting leaves directories."""
    remote = Remote.parse(f"file://{tmp_path}/data/sub/x")
    await store.store(source, remote)
    assert (tmp_path / "data" / "sub" / "x").read_bytes() == b"content"
    listed = [info.remote async for info in store.list(Remote.parse(f"file://{tmp_path}/data/"))]
    assert listed == [remote]
    assert (await store.fetch(remote, tmp_path / "target")).size_bytes == 7
    await store.copy(remote, _bucket("imported"))
    await store.delete([remote])
    assert await store.stat(remote) is None
    assert (tmp_path / "data" / "sub").is_dir()


async def test_a_growing_file_is_stored_as_it_was(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is still written goes in as long as it was at the start; one that is cut short is an error."""
    path, size, read = tmp_path / "log", 4 * 1024 * 1024, os.readv
    path.write_bytes(b"x" * size)

    def growing(file: int, buffers: list[memoryview]) -> int:
        with path.open("ab") as log:
            log.write(b"more")
        return read(file, buffers)

    monkeypatch.setattr(os, "readv", growing)
    assert (await store.store(path, _bucket("grown"))).size_bytes == size

    def shrinking(file: int, buffers: list[memoryview]) -> int:
        os.truncate(path, 10)
        return read(file, buffers)

    monkeypatch.setattr(os, "readv", shrinking)
    with pytest.raises(StorageError, match="shrank"):
        await store.store(path, _bucket("shrunk"))
    assert await _keys(store, _bucket("")) == ["grown"]


async def test_a_directory_where_a_file_should_come(store: ObjectStore, source: Path, tmp_path: Path) -> None:
    """Fetching onto a directory, or below a file, is an error of the target, not of the object."""
    await store.store(source, _bucket("x"))
    for target in (tmp_path, source / "below"):
        with pytest.raises((StorageRefusedError, ObjectMissingError)):
            await store.fetch(_bucket("x"), target)


@pytest.mark.parametrize("url", ["file://relative/path", "file:", "file://"])
def test_a_relative_root_is_refused(url: str) -> None:
    """The root is an absolute path."""
    with pytest.raises(ConfigurationError, match="absolute"):
        open_store(url)


async def test_a_place_where_no_file_can_be_made_is_refused(store: ObjectStore, source: Path) -> None:
    """In /proc a folder is there and a file in it never is: the fetch ends instead of trying for ever."""
    await store.store(source, _bucket("key"))
    with pytest.raises(ObjectMissingError, match="/proc"):
        await asyncio.wait_for(store.fetch(_bucket("key"), Path("/proc/sisyphus")), 30)
