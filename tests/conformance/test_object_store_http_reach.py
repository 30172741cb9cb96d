"""What inputs from http(s) must not reach, whatever a document, a name server or a redirect says."""

from __future__ import annotations

import shutil
import socket

import pytest

from infra import http_exchange
from infra.errors import StorageError, StorageRefusedError
from infra.http_rules import HttpRules
from infra.object_stores.http import REDIRECTS, HttpObjectStore
from infra.patience import TRIES
from schemas.paths import Remote
from tests.conformance.http_store_kit import BODY, MIB, fetched, opened, short_pauses, site
from tests.conftest import need
from tests.doubles.http_server import answer, certificate, http_site, redirect

__all__ = ["opened", "short_pauses", "site"]  # fixtures


async def test_nothing_is_asked_without_leave(site, opened, tmp_path):
    """By default no host is allowed, and an allowed one is not reached at an address that is not public."""
    site.acts["/x"] = answer(200, b"secret")
    for store, words in (
        (HttpObjectStore(HttpRules((), (), MIB)), "SISYPHUS_HTTP_HOSTS"),
        (opened("example.org"), "SISYPHUS_HTTP_HOSTS has example.org"),
        (opened("127.0.0.1"), "SISYPHUS_HTTP_HOSTS"),  # at another port
        (opened("127.0.0.1:*", networks=()), "SISYPHUS_HTTP_NETWORKS"),
        (opened("127.0.0.1:*", networks=["10.0.0.0/8"]), r"127\.0\.0\.1, which is no public address"),
    ):
        for call in (store.stat(Remote.parse(site.url("/x"))), fetched(store, site.url("/x"), tmp_path)):
            with pytest.raises(StorageRefusedError, match=words):
                await call
    assert site.asked == []


async def test_the_address_is_judged_and_not_the_name(site, opened, tmp_path):
    """A name that leads into this network is refused although it is allowed; so is a number in another spelling."""
    for host in ("localhost", "2130706433", "0x7f.1"):
        with pytest.raises(StorageRefusedError, match="no public address"):
            await fetched(opened(f"{host}:*", networks=()), site.url("/x", host=host), tmp_path)
    assert site.asked == []


async def test_a_name_is_resolved_once_and_connected_where_it_was_judged(opened, tmp_path, monkeypatch):
    """A name that answers differently the next time gains nothing, and a forbidden address beside a good one neither."""
    answers = [["127.0.0.1", "127.0.0.2"], ["127.0.0.1"]]

    def resolve(_host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (x, port)) for x in answers.pop(0)]

    with http_site(host="127.0.0.2") as allowed, http_site(port=allowed.port) as forbidden:
        forbidden.acts["/x"] = answer(200, b"secret")
        allowed.acts["/x"] = answer(200, b"from the allowed address")
        monkeypatch.setattr(http_exchange.socket, "getaddrinfo", resolve)
        store = opened("rebinding.test:*", networks=["127.0.0.2/32"])
        body = await fetched(store, allowed.url("/x", host="rebinding.test"), tmp_path)
        assert (body, len(answers)) == (b"from the allowed address", 1)
        (tmp_path / "in" / "file").unlink()
        with pytest.raises(StorageRefusedError, match=r"127\.0\.0\.1, which is no public"):
            await fetched(store, allowed.url("/x", host="rebinding.test"), tmp_path)
        assert forbidden.asked == []


async def test_redirects_are_followed(site, opened, tmp_path):
    """Relative and absolute, of every kind, to another allowed server."""
    with http_site() as other:
        other.acts["/end"] = answer(200, b"end")
        site.acts["/1"] = redirect("2?x=1", 301)
        site.acts["/2?x=1"] = redirect("/3", 307)
        site.acts["/3"] = redirect(other.url("/end"), 308)
        assert await fetched(opened(), site.url("/1"), tmp_path) == b"end"
        assert (site.asked, other.asked) == (["/1", "/2?x=1", "/3"], ["/end"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_into_the_network_is_refused(site, opened, tmp_path, status):
    """Whatever an allowed server says: another host, another port, another address of an allowed host."""
    with http_site() as inside:
        hosts = (f"127.0.0.1:{site.port}", "inside.test", f"localhost:{inside.port}")
        store = opened(*hosts, networks=["127.0.0.1/32"])
        for target, words in (
            (inside.url("/secret"), f"127.0.0.1:{inside.port} is not among the allowed hosts"),
            ("http://169.254.169.254/latest/meta-data/", "not among the allowed hosts"),
            (inside.url("/secret", host="127.0.0.2"), "not among the allowed hosts"),
            ("file:///etc/passwd", "no http"),
            ("http://u:p@127.0.0.1/", "without credentials"),
            ("http://[", "no URL"),
        ):
            site.acts["/x"] = redirect(target, status)
            with pytest.raises(StorageRefusedError, match=words):
                await fetched(store, site.url("/x"), tmp_path)
        site.acts["/x"] = redirect(inside.url("/secret", host="localhost"), status)
        elsewhere = opened(*hosts, networks=["127.0.0.2/32"])
        with pytest.raises(StorageRefusedError, match="no public address"):
            await fetched(elsewhere, inside.url("/secret", host="localhost"), tmp_path)
        assert inside.asked == []
    assert len(site.asked) == 6


async def test_the_query_of_a_redirect_is_not_shown(site, opened, tmp_path):
    """It may be a key that only the two servers know."""
    site.acts["/x"] = redirect("/y?signature=hush")
    site.acts["/y?signature=hush"] = answer(403)
    with pytest.raises(StorageRefusedError, match="redirected by") as caught:
        await fetched(opened(), site.url("/x"), tmp_path)
    assert "hush" not in str(caught.value)


async def test_redirects_without_end_or_aim(site, opened, tmp_path):
    """A circle ends after a few rounds, and a redirect to nowhere at once."""
    site.acts["/x"] = redirect("/x")
    with pytest.raises(StorageRefusedError, match="redirects"):
        await fetched(opened(), site.url("/x"), tmp_path)
    assert len(site.asked) == REDIRECTS + 1
    site.acts["/y"] = answer(302)
    with pytest.raises(StorageRefusedError, match="302"):
        await fetched(opened(), site.url("/y"), tmp_path)


async def test_https_is_trusted_by_certificate_and_name(opened, tmp_path, monkeypatch):
    """An unknown authority or another name is final and not asked again; a known one is not refused."""
    need(shutil.which("openssl"), "openssl, to make a certificate")
    pair = certificate(tmp_path, "DNS:localhost")
    with http_site(tls=pair) as site:
        site.acts["/x"] = answer(200, BODY)
        site.acts["/down"] = redirect(site.url("/x"))
        store = opened("localhost:*", "127.0.0.1:*")
        with pytest.raises(StorageRefusedError, match=r"not trusted: self.signed"):
            await fetched(store, site.url("/x", "localhost", "https"), tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with pytest.raises(StorageRefusedError, match="not valid for"):
            await fetched(store, site.url("/x", "127.0.0.1", "https"), tmp_path)
        assert site.asked == []
        assert await fetched(store, site.url("/x", "localhost", "https"), tmp_path) == BODY
        (tmp_path / "in" / "file").unlink()
        with pytest.raises(StorageRefusedError, match="from https to http"):
            await fetched(store, site.url("/down", "localhost", "https"), tmp_path)


async def test_a_body_cut_off_under_tls_is_not_whole(opened, tmp_path, monkeypatch):
    """Where the end of the connection is the end of the file, only a proper end of TLS counts."""
    need(shutil.which("openssl"), "openssl, to make a certificate")
    pair = certificate(tmp_path, "DNS:localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with http_site(tls=pair) as site:

        def cut(request):
            request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nhalf")
            request.wfile.flush()
            socket.socket.shutdown(request.connection, socket.SHUT_RDWR)

        site.acts["/x"] = cut
        with pytest.raises(StorageError):
            await fetched(opened("localhost:*"), site.url("/x", "localhost", "https"), tmp_path)
        assert len(site.asked) == TRIES
