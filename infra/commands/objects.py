"""Commands about objects, as they are typed: put, get, ls. A trailing slash means a directory, on either side."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.commands.options import AsJson, Data, finish

RemoteArgument = Annotated[str, typer.Argument(metavar="REMOTE", help="bucket:key, s3://bucket/key or file:///path.")]


def put(
    file: Annotated[str, typer.Argument(metavar="FILE|DIR|-", help="What to store; - reads standard input.")],
    remote: RemoteArgument,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Store a file, or with a remote that ends in / everything below a directory.

    Examples:
      sisyphus put annual.txt sisyphus:reports/annual-report.txt
      sisyphus put annual.txt sisyphus:reports/          keeps the name
      sisyphus put reports/ sisyphus:reports/            a directory
    """
    from infra.commands.transfers import store

    finish(store(file, remote, as_json=as_json, data=data))


def get(
    remote: RemoteArgument,
    file: Annotated[str, typer.Argument(metavar="FILE|DIR|-", help="Where to; - writes to standard output.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Fetch an object, or with a remote that ends in / everything below it.

    Examples:
      sisyphus get sisyphus:results/count.txt count.txt
      sisyphus get sisyphus:results/count.txt -          prints it
      sisyphus get sisyphus:reports/ ./reports/          a directory
    """
    from infra.commands.transfers import fetch

    finish(fetch(remote, file, as_json=as_json, data=data))


def ls(
    remote: Annotated[str | None, typer.Argument(metavar="REMOTE", help="A bucket: or the beginning of keys.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List objects with size and time: of the default bucket, of a bucket, or below a prefix.

    With --json: one JSON line per object.

    Examples:
      sisyphus ls
      sisyphus ls sisyphus:reports/
      sisyphus ls otherbucket:
    """
    from infra.commands.transfers import list_objects

    finish(list_objects(remote, as_json=as_json, data=data))
