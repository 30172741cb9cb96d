"""A real HTTP server whose paths do what a test says: answer, redirect, break, trickle."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Act = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; an act writes its answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site: HttpSite = self.server.site  # type: ignore[attr-defined]
        site.asked.append(self.path)
        site.headers.append(dict(self.headers))
        self.close_connection = True
        act = site.acts.get(self.path)
        try:
            answer(404)(self) if act is None else act(self)
        except (ConnectionError, ssl.SSLError):
            site.hung_up.set()

    def head(self, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return None


@dataclass
class HttpSite:
    """The server: what its paths do, and what it was asked."""

    port: int = 0
    acts: dict[str, Act] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def http_site(tls: Path | None = None, host: str = "127.0.0.1", port: int = 0):
    """A server, by default on a free port; `tls` is a file with its key and certificate."""
    server = ThreadingHTTPServer((host, port), Request)
    server.daemon_threads = True
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site = server.site = HttpSite(server.server_port)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def certificate(folder: Path, *names: str) -> Path:
    """A file with a key and a self-signed certificate for these names."""
    pair = folder / "pair.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
         "-addext", f"subjectAltName={','.join(names)}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    pair.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return pair


def answer(status: int, body: bytes = b"", **headers: str) -> Act:
    """A plain answer."""

    def act(request: Request) -> None:
        request.head(status, len(body), **headers)
        request.wfile.write(body)

    return act


def redirect(to: str, status: int = 302) -> Act:
    return answer(status, Location=to)


def in_turn(*acts: Act) -> Act:
    """Each request gets the next one; the last one stays."""
    left = list(acts)

    def act(request: Request) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(request)

    return act


def chunked(*pieces: bytes, ends: bool = True) -> Act:
    """A body whose length is not said; without its end it is cut off."""

    def act(request: Request) -> None:
        request.head(200, Transfer_Encoding="chunked")
        for piece in pieces:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if ends:
            request.wfile.write(b"0\r\n\r\n")

    return act


def broken(body: bytes, at: int, **headers: str) -> Act:
    """Says the whole length and closes after `at` bytes."""

    def act(request: Request) -> None:
        request.head(200, len(body), **headers)
        request.wfile.write(body[:at])

    return act


def rest(body: bytes, etag: str) -> Act:
    """A server that gives the rest of a file if it is still the same, and all of it otherwise."""

    def act(request: Request) -> None:
        asked = request.headers.get("Range")
        if asked is None or request.headers.get("If-Range") != etag:
            answer(200, body, ETag=etag)(request)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        answer(206, body[start:], ETag=etag, Content_Range=span)(request)

    return act


def trickle(first: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", pause_s: float = 0.02) -> Act:
    """Goes on for as long as somebody listens, one byte at a time, after `first`."""

    def act(request: Request) -> None:
        request.wfile.write(first)
        while True:
            time.sleep(pause_s)
            request.wfile.write(b"x")

    return act


def silent(request: Request) -> None:
    """Says that much follows, and then nothing."""
    request.head(200, 1000)
    request.connection.settimeout(60)
    request.rfile.read(1)
    request.server.site.hung_up.set()  # type: ignore[attr-defined]
