"""URL scheme -> adapter, resolved on demand, so that an unused adapter costs neither an import nor a package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from infra.errors import ConfigurationError


def resolve(table: Mapping[str, tuple[str, str]], url: str, port: str) -> Any:
    """The factory registered for the scheme of `url`.

    Args:
        table: scheme -> ("package.module:factory", extra that brings its vendor package, or "").
        url: e.g. ``s3://bucket?endpoint=…``.
        port: what is being opened, for the message.

    Raises:
        ConfigurationError: unknown scheme, or the adapter's package is not installed.
    """
    scheme = url.partition(":")[0]
    if scheme not in table:
        raise ConfigurationError(f"{port} {url!r}: unknown scheme {scheme!r}; known are {', '.join(sorted(table))}")
    target, extra = table[scheme]
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").partition(".")[0] in {"infra", "schemas"}:
            raise
        raise ConfigurationError(
            f"{port} {url!r} needs the package {error.name!r}; install it with: pip install 'sisyphus-cluster[{extra}]'"
        ) from error
