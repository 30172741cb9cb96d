"""How fast and in how much memory an object goes in and out of both stores, each beside a floor from the same run.

Prints one JSON document. Floors: ``cp`` with ``sync`` for the local store, boto3's own transfers for S3. The growth of
memory is the peak of this process's RSS during the transfer above what it was before, sampled every 5 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from infra.object_store import OBJECT_STORES, ObjectStore
from infra.registry import resolve
from schemas.paths import Remote, Scheme

_MIB = 1024 * 1024
#: What an object of any size may add to a node's memory.
LIMIT_MIB = 64
_BUCKET = "staging-benchmark"
_IMAGE = "versity/versitygw:latest"


class Meter:
    """Seconds and growth of memory between entering and leaving."""

    def __enter__(self) -> Self:
        self._before = self._peak = _rss()
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started
        self._done.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._done.wait(0.005):
            self._peak = max(self._peak, _rss())

    def figures(self, size: int) -> dict[str, float]:
        """What was measured over the transfer of `size` bytes."""
        growth = (max(self._peak, _rss()) - self._before) / _MIB
        return {
            "seconds": round(self.seconds, 3),
            "mib_per_s": round(size / _MIB / self.seconds, 1),
            "growth_mib": round(growth, 1),
        }


def _rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _make_file(path: Path, size: int) -> None:
    """A file that does not compress and has no two equal parts, from a generator, so that it is quickly made."""
    block = os.urandom(_MIB)
    with path.open("wb") as file:
        for number in range(size // _MIB):
            file.write(number.to_bytes(8, "big") + block[8:])
        file.write(block[: size % _MIB])


async def _metered(call: Callable[[], Awaitable[object]], size: int) -> dict[str, float]:
    with Meter() as meter:
        await call()
    return meter.figures(size)


async def measure_store(store: ObjectStore, source: Path, size: int, folder: Path) -> dict[str, Any]:
    """Store, copy and fetch one file; the first small transfer pays for clients and threads."""
    target, small = folder / "fetched", folder / "small"
    remote = Remote(Scheme.BUCKET, _BUCKET, "large")
    await store.store(small, remote.beside("small"))
    await store.fetch(remote.beside("small"), target)
    figures = {
        "store": await _metered(lambda: store.store(source, remote), size),
        "copy": await _metered(lambda: store.copy(remote, remote.beside("copy")), size),
        "fetch": await _metered(lambda: store.fetch(remote, target), size),
    }
    await store.delete([remote, remote.beside("copy"), remote.beside("small")])
    return figures


def floor_local(source: Path, folder: Path) -> dict[str, Any]:
    """``cp`` and a sync of what it wrote."""
    size, target = source.stat().st_size, folder / "floor"
    with Meter() as meter:
        subprocess.run(["cp", "--reflink=never", source, target], check=True)
        subprocess.run(["sync", target], check=True)
    target.unlink()
    return {"cp": meter.figures(size), "sha256": _floor_sha256(source)}


def _floor_sha256(source: Path) -> dict[str, float]:
    with Meter() as meter, source.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return meter.figures(source.stat().st_size)


def floor_s3(url: str, source: Path, folder: Path) -> dict[str, Any]:
    """boto3's managed transfers as they come."""
    import boto3

    options = dict(parse_qsl(urlsplit(url).query))
    client: Any = boto3.client("s3", endpoint_url=options.get("endpoint"), region_name=options.get("region"))
    client.head_bucket(Bucket=_BUCKET)
    size, target = source.stat().st_size, folder / "floor"
    with Meter() as up, source.open("rb") as file:
        client.upload_fileobj(file, _BUCKET, "floor")
    with Meter() as down, target.open("wb") as file:
        client.download_fileobj(_BUCKET, "floor", file)
    client.delete_object(Bucket=_BUCKET, Key="floor")
    target.unlink()
    return {"upload_fileobj": up.figures(size), "download_fileobj": down.figures(size)}


@contextmanager
def _s3_server() -> Iterator[str]:
    """Versitygw in a container, for as long as it is needed."""
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "benchmark")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "benchmark-secret")
    docker = ["docker", "run", "-d", "--rm", "-p", "127.0.0.1::7070"]
    keys = [
        f"ROOT_ACCESS_KEY={os.environ['AWS_ACCESS_KEY_ID']}",
        f"ROOT_SECRET_KEY={os.environ['AWS_SECRET_ACCESS_KEY']}",
    ]
    command = [*docker, "-e", keys[0], "-e", keys[1], _IMAGE, "posix", "/data"]
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        shown = subprocess.run(["docker", "port", container, "7070"], check=True, capture_output=True, text=True)
        yield f"s3://?endpoint=http://{shown.stdout.split()[0]}&region=us-east-1&path_style=true&create_buckets=true"
    finally:
        subprocess.run(["docker", "rm", "-fv", container], check=True, capture_output=True)


async def _run(url: str, source: Path, size: int, folder: Path) -> dict[str, Any]:
    store: ObjectStore = resolve(OBJECT_STORES, url, "object store")(url)
    try:
        return await measure_store(store, source, size, folder)
    finally:
        await store.close()


def _has_s3_image() -> bool:
    if shutil.which("docker") is None:
        return False
    found = subprocess.run(["docker", "images", "-q", _IMAGE], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip())


def main(arguments: list[str]) -> int:
    """Measure and print; the exit code is 1 if a store needed more memory than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=2048, help="size of the object")
    parser.add_argument("--dir", type=Path, default=None, help="where the files go; needs four times the size")
    parser.add_argument("--only", choices=sorted(OBJECT_STORES), help="only this store")
    given = parser.parse_args(arguments)
    result: dict[str, Any] = {"benchmark": "staging", "size_mib": given.mib, "limit_mib": LIMIT_MIB}
    with tempfile.TemporaryDirectory(dir=given.dir) as name:
        folder = Path(name)
        source = folder / "source"
        size = given.mib * _MIB
        _make_file(source, size)
        (folder / "small").write_bytes(b"warm")
        if given.only in {None, "file"}:
            result["file"] = {"floor": floor_local(source, folder)}
            result["file"] |= asyncio.run(_run(f"file://{folder / 'objects'}", source, size, folder))
        if given.only in {None, "s3"}:
            if _has_s3_image():
                with _s3_server() as url:
                    result["s3"] = asyncio.run(_run(url, source, size, folder))
                    result["s3"]["floor"] = floor_s3(url, source, folder)
            else:
                result["s3"] = f"not measured: needs Docker and the image {_IMAGE}"
    grown = [
        figures["growth_mib"]
        for store in ("file", "s3")
        if isinstance(result.get(store), dict)
        for call, figures in result[store].items()
        if call != "floor"
    ]
    result["peak_growth_mib"] = max(grown, default=0.0)
    result["ok"] = result["peak_growth_mib"] <= LIMIT_MIB
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
