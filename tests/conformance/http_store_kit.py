"""A real server, and stores that may ask it: what the tests of http(s) inputs share."""

from __future__ import annotations

import hashlib
from ipaddress import ip_network
from pathlib import Path

import pytest

from infra.http_rules import HttpRules
from infra.object_stores.http import HttpObjectStore
from schemas.paths import Remote
from tests.doubles.http_server import http_site

__all__ = ["opened", "short_pauses", "site"]  # fixtures

LOOPBACK = ("127.0.0.0/8", "::1/128")
MIB = 1024 * 1024
BODY = bytes(range(256)) * 12_000  # 3 MB


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("infra.patience.PAUSE_S", 0.01)


@pytest.fixture
def site():
    with http_site() as site:
        yield site


@pytest.fixture
async def opened():
    """Opens stores with given rules; by default everything on this machine may be asked."""
    stores: list[HttpObjectStore] = []

    def open_store(*hosts: str, networks=LOOPBACK, limit: int = 10 * MIB) -> HttpObjectStore:
        rules = HttpRules(hosts or ("127.0.0.1:*",), tuple(ip_network(x) for x in networks), limit)
        stores.append(HttpObjectStore(rules))
        return stores[-1]

    yield open_store
    for store in stores:
        await store.close()


async def fetched(store: HttpObjectStore, url: str, folder: Path) -> bytes:
    """The bytes behind `url`; beside the file nothing may be left, nor anything where the fetch fails."""
    (folder / "in").mkdir(exist_ok=True)
    to = folder / "in" / "file"
    try:
        info = await store.fetch(Remote.parse(url), to)
    except BaseException:
        assert not list((folder / "in").iterdir())
        raise
    assert [x.name for x in (folder / "in").iterdir()] == ["file"]
    body = to.read_bytes()
    assert (info.remote, info.size_bytes, info.sha256) == (
        Remote.parse(url),
        len(body),
        hashlib.sha256(body).hexdigest(),
    )
    return body
