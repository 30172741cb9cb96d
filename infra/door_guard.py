"""What every request meets first: host and origin checks, the bearer token, a bound on its body, security headers.

The invariant: a web page of somebody else can neither read from nor write to a door on this machine (DNS rebinding,
cross-site requests and sockets), and off loopback nobody comes in without the token.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Collection
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.door_problems import problem
from infra.settings import Settings

#: Longest request body in bytes: that of the longest task document.
MAX_BODY_BYTES = 1_048_576
#: Seconds in which a body must have come.
_BODY_S = 30.0
#: Names under which a door without a token may be addressed.
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


class Refused(Exception):
    """A request that goes no further; `status` and the sentence are the answer."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.sentence, self.headers = status, sentence, headers or {}
        super().__init__(sentence)


class Guard:
    """ASGI middleware around everything. Plain ASGI, so that streams and sockets pass through unbuffered."""

    def __init__(self, app: ASGIApp, settings: Settings, public: Collection[str]) -> None:
        self._app, self._public = app, public
        self._host = settings.host
        self._token = settings.token.get_secret_value() if settings.token else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        try:
            self._check(scope)
            if scope["type"] == "http" and scope["method"] in {"POST", "PUT", "PATCH"}:
                receive = await _bounded(scope, receive)
        except Refused as refused:
            await _refuse(scope, receive, send, refused)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._token and _name(host) not in {*_LOOPBACK_NAMES, self._host}:
            raise Refused(421, f"this door answers to localhost only, not to {host!r}")
        is_reading = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        origin = headers.get("origin")
        if origin and not is_reading and urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(403, f"requests from pages of {origin!r} are not accepted")
        if self._token and not (is_reading and self._is_public(scope["path"])):
            self._check_token(scope, headers)

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = ""
        if not given and scope["type"] == "websocket":
            # A browser cannot set headers on a socket.
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            sentence = "a bearer token is needed: Authorization: Bearer <SISYPHUS_TOKEN>"
            raise Refused(401, sentence, {"WWW-Authenticate": 'Bearer realm="sisyphus"'})

    def _is_public(self, path: str) -> bool:
        return path in self._public or any(path.startswith(p) for p in self._public if p.endswith("/") and p != "/")


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


async def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Read the body up to the bound, and play it back to the application."""
    length = Headers(scope=scope).get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise Refused(413, f"a request has at most {MAX_BODY_BYTES} bytes, this one has {length}")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return _replay(message, receive)
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise Refused(413, f"a request has at most {MAX_BODY_BYTES} bytes")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Refused(408, f"the request did not arrive within {_BODY_S:.0f} s") from None
    return _replay({"type": "http.request", "body": bytes(body), "more_body": False}, receive)


def _replay(first: Message, receive: Receive) -> Receive:
    pending = [first]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, refused: Refused) -> None:
    if scope["type"] == "websocket":
        # Closing before accepting makes the handshake fail with 403; the browser sees no more than that.
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refused.sentence[:120]})
        return
    response = problem(refused.status, refused.sentence, headers={**refused.headers, "Connection": "close"})
    await response(scope, receive, send)
