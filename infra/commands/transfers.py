"""What the commands about objects do. Nothing is held in memory: files stream, and a listing is printed as it comes."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import typer

from infra.commands.ending import ExitCode
from infra.commands.options import print_json, with_objects
from infra.commands.units import size
from infra.errors import ConfigurationError, ObjectMissingError
from infra.identity import new_id
from infra.object_client import ObjectClient
from infra.object_store import ObjectInfo, OnBytes
from schemas.failure import RefusalError
from schemas.paths import Remote, Scheme


def store(file: str, remote: str, *, as_json: bool, data: Path | None) -> int:
    """Store a file, a directory or standard input; the exit code.

    Raises:
        RefusalError: the remote is none, or is the cluster's own.
    """
    target = _read_remote(remote)
    if target.scheme in {Scheme.HTTP, Scheme.HTTPS}:
        raise RefusalError("output_scheme", f"{target}: http(s) is for reading only", "remote")

    async def work(client: ObjectClient) -> int:
        with _spooled(file, client) as source:
            plan = await asyncio.to_thread(_uploads, source, file, target)
            total = sum(path.stat().st_size for path, _ in plan)
            stored: list[ObjectInfo] = []
            with _bar(f"storing {file}", total) as on_bytes:
                for path, where in plan:
                    stored.append(await client.put(path, where, on_bytes))
        _report("stored", stored, as_json=as_json)
        return ExitCode.COMPLETE

    return with_objects(data, work)


def fetch(remote: str, file: str, *, as_json: bool, data: Path | None) -> int:
    """Fetch an object or a directory, or print an object; the exit code.

    Raises:
        RefusalError: the remote is none, or is the cluster's own.
    """
    source = _read_remote(remote)

    async def work(client: ObjectClient) -> int:
        if file == "-":
            await _print_object(client, source)
            return ExitCode.COMPLETE
        plan = await _downloads(client, source, file)
        fetched: list[ObjectInfo] = []
        with _bar(f"fetching {remote}", sum(info.size_bytes for info, _ in plan)) as on_bytes:
            for info, path in plan:
                path.parent.mkdir(parents=True, exist_ok=True)
                fetched.append(await client.get(info.remote, path, on_bytes))
        _report("fetched", fetched, as_json=as_json)
        return ExitCode.COMPLETE

    return with_objects(data, work)


def list_objects(remote: str | None, *, as_json: bool, data: Path | None) -> int:
    """Print the objects below a remote, or of the default bucket; the exit code.

    Raises:
        RefusalError: the remote is none, or is the cluster's own.
    """
    prefix = _read_prefix(remote) if remote else None

    async def work(client: ObjectClient) -> int:
        where = prefix or Remote(Scheme.BUCKET, client.settings.default_bucket, "")
        count = total = 0
        async for info in client.ls(where):
            count, total = count + 1, total + info.size_bytes
            if as_json:
                print_json(_plain(info))
            else:
                typer.echo(f"{size(info.size_bytes):>11}  {info.modified.astimezone():%Y-%m-%d %H:%M}  {info.remote}")
        if not as_json:
            typer.echo(f"{size(total):>11}  in {count} object{'' if count == 1 else 's'} below {where}")
            await _other_buckets(client, where)
        return ExitCode.COMPLETE

    return with_objects(data, work)


async def _other_buckets(client: ObjectClient, where: Remote) -> None:
    if where.scheme is Scheme.BUCKET and not where.key:
        others = [name for name in await client.objects.at(where).buckets() if name != where.bucket]
        if others:
            typer.echo(f"other buckets: {', '.join(f'{name}:' for name in others)}")


def _read_remote(text: str) -> Remote:
    """A remote that people may touch.

    Raises:
        RefusalError: it is no remote path, or lies in the cluster's own part.
    """
    remote = Remote.parse(text)
    if remote.is_reserved:
        raise RefusalError("remote_reserved", f"{text}: .sisyphus/ belongs to the cluster", "remote")
    return remote


def _read_prefix(text: str) -> Remote:
    whole_bucket = re.fullmatch(r"([^:/]+:)|(s3://[^/]+)/?", text)
    if whole_bucket is not None:
        lead = whole_bucket[1] or f"{whole_bucket[2]}/"
        return Remote.parse(f"{lead}any").beside("")
    return _read_remote(text)


@contextmanager
def _spooled(file: str, client: ObjectClient) -> Generator[Path]:
    """The file itself, or what standard input holds as a file."""
    if file != "-":
        yield Path(file)
        return
    client.settings.work_root.mkdir(parents=True, exist_ok=True)
    spool = client.settings.work_root / f".put-{new_id()}"
    try:
        with spool.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        yield spool
    finally:
        spool.unlink(missing_ok=True)


def _uploads(source: Path, named: str, target: Remote) -> list[tuple[Path, Remote]]:
    """Which file goes where.

    Raises:
        ConfigurationError: nothing is there, or a directory was named without a trailing slash on the remote.
    """
    if source.is_file():
        if target.is_directory and named == "-":
            raise ConfigurationError(f"{target} is a directory; what comes from standard input needs a name")
        return [(source, target.child(source.name) if target.is_directory else target)]
    if not source.is_dir():
        raise ConfigurationError(f"{named} does not exist, or is neither a file nor a directory")
    if not target.is_directory:
        raise ConfigurationError(f"{named} is a directory; end the remote in a slash too: {target}/")
    root = source.resolve()
    found = [path for path in sorted(source.rglob("*")) if path.is_file() and path.resolve().is_relative_to(root)]
    if not found:
        raise ConfigurationError(f"{named} holds no files")
    return [(path, target.child(path.relative_to(source).as_posix())) for path in found]


async def _downloads(client: ObjectClient, source: Remote, file: str) -> list[tuple[ObjectInfo, Path]]:
    """Which object goes where.

    Raises:
        ObjectMissingError: there is nothing at the remote.
    """
    to = Path(file)
    is_directory = file.endswith("/") or await asyncio.to_thread(to.is_dir)
    if not source.is_directory:
        info = await client.objects.at(source).stat(source)
        if info is None:
            raise ObjectMissingError(f"{source} does not exist")
        return [(info, to / source.name if is_directory else to)]
    plan: list[tuple[ObjectInfo, Path]] = []
    async for info in client.ls(source):
        relative = Path(info.remote.key.removeprefix(source.key))
        # A foreign store may hold any key; none may place a file outside the directory that was asked for.
        if relative.is_absolute() or ".." in relative.parts:
            raise ConfigurationError(f"{info.remote} would be written outside {file}; fetch it alone under a new name")
        plan.append((info, to / relative))
    if not plan:
        raise ObjectMissingError(f"there is nothing below {source}")
    return plan


async def _print_object(client: ObjectClient, source: Remote) -> None:
    if source.is_directory:
        raise ConfigurationError(f"{source} is a directory; name one object to print")
    client.settings.work_root.mkdir(parents=True, exist_ok=True)
    part = client.settings.work_root / f".get-{new_id()}"
    try:
        await client.get(source, part)
        with part.open("rb") as stream:
            await asyncio.to_thread(shutil.copyfileobj, stream, sys.stdout.buffer)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _bar(title: str, total: int) -> Generator[OnBytes | None]:
    """A progress bar on stderr where somebody sees it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(title, total=total)
        yield lambda count: progress.update(bar, advance=count)


def _plain(info: ObjectInfo) -> dict[str, object]:
    return {
        "remote": str(info.remote),
        "size_bytes": info.size_bytes,
        "modified": info.modified.isoformat(),
        "sha256": info.sha256,
    }


def _report(what: str, infos: list[ObjectInfo], *, as_json: bool) -> None:
    if as_json:
        print_json([_plain(info) for info in infos])
        return
    total = size(sum(info.size_bytes for info in infos))
    typer.echo(f"{what} {infos[0].remote}, {total}" if len(infos) == 1 else f"{what} {len(infos)} objects, {total}")
