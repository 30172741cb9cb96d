"""One request and its answer over a connection to an address that was judged before.

On the standard library's client, which makes no decision of its own: the name is resolved once, each address is held
against the rules, the connection goes to a judged one (so a name that changes its address in between changes
nothing), and neither a proxy, a cookie, a credential nor a redirect is ever followed by itself.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from infra.blocking import Transfer
from infra.errors import ObjectMissingError, StorageError, StorageRefusedError
from infra.http_rules import HttpRules, Url

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Deadlines in seconds: for one address to take the connection, for the head of the answer, between two reads of it.
CONNECT_S, ANSWER_S, IDLE_S = 5.0, 30.0, 30.0
#: A body that is slower than this on average, in bytes per second, is given up after `GRACE_S` seconds.
LEAST_RATE, GRACE_S = 16_384, 60.0
#: How long a read may keep a stop of its caller waiting, in seconds.
_SLICE_S = 0.25
#: Bytes per read.
_BLOCK = 262_144
#: Addresses of one host that are tried.
_ADDRESSES = 4
#: How resolvers say that there is no such name, in contrast to not knowing at the moment.
_NO_NAME = {socket.EAI_NONAME, socket.EAI_NODATA}


class _Paced(io.RawIOBase):
    """What a connection brings, with a deadline that no trickle can stretch, and an ear for the caller's stop."""

    def __init__(self, connection: socket.socket, transfer: Transfer) -> None:
        super().__init__()
        self._connection, self._transfer = connection, transfer
        self.deadline = time.monotonic() + ANSWER_S

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Read what has come, or wait for it. Raises TimeoutError, StoppedError."""
        idle_until = time.monotonic() + IDLE_S
        while True:
            self._transfer.check()
            if time.monotonic() > self.deadline:
                raise TimeoutError("the answer is too slow")
            try:
                return self._connection.recv_into(buffer)
            except TimeoutError:
                if time.monotonic() > idle_until:
                    raise TimeoutError(f"nothing came for {IDLE_S:g} s") from None

    def makefile(self, _mode: str) -> io.BufferedReader:
        """How the standard library's client takes hold of a connection."""
        return io.BufferedReader(self)


class Answer:
    """The head of an answer, and its body to read. `length` of the body is None where the server does not say it."""

    def __init__(self, url: Url, what: str, connection: socket.socket, transfer: Transfer) -> None:
        self.url, self._what, self._connection = url, what, connection
        self._paced = _Paced(connection, transfer)
        self._response = http.client.HTTPResponse(cast("Any", self._paced), method="GET")
        try:
            self._response.begin()
        except BaseException:
            # Left to the garbage collector, its reader is closed before it: from Python 3.13 on that is a traceback.
            self._response.close()
            raise
        self.status, self.length = self._response.status, self._response.length
        self._started, self._received = time.monotonic(), 0

    def header(self, name: str) -> str:
        """A header of the answer, or an empty string."""
        return self._response.headers.get(name, "")

    def read(self) -> bytes:
        """The next bytes of the body, none at its end.

        Raises:
            StorageError: the connection broke, or the body is too slow or incomplete.
        """
        self._paced.deadline = self._started + GRACE_S + self._received / LEAST_RATE
        with _explained(self.url, self._what):
            block = self._response.read1(_BLOCK)
        self._received += len(block)
        if not block and self.length is not None and self._received < self.length:
            raise StorageError(f"{self._what}: {self.url.site} ended after {self._received} of {self.length} bytes")
        return block

    @property
    def said(self) -> str:
        """Status and reason for people."""
        reason = "".join(c for c in self._response.reason[:60] if c.isprintable())
        return f"{self._what}: {self.url.site} answered {self.status} {reason}".rstrip()

    def close(self) -> None:
        """Close the connection, whatever still comes."""
        self._response.close()
        self._connection.close()


@contextmanager
def asked(url: Url, what: str, rules: HttpRules, headers: Mapping[str, str], transfer: Transfer) -> Generator[Answer]:
    """Ask for `url`, whose host must have been checked. A redirect is an answer like others. Blocking.

    Args:
        url: what to ask for.
        what: begins every message: `url` itself may hold what only its server should see.
        rules: which addresses may be connected to.
        headers: beside the usual ones.
        transfer: the caller, who may stop it.

    Raises:
        StorageError: no connection, or no answer in time.
        StorageRefusedError: no address of the host may be reached, or its certificate is not trusted.
        ObjectMissingError: there is no host of that name.
    """
    with _explained(url, what):
        connection = _connected(url, what, rules, transfer)
        try:
            client = http.client.HTTPConnection(url.host, url.port)
            client.sock = connection
            sent = {"Host": url.site, "User-Agent": "sisyphus", "Accept": "*/*", "Connection": "close", **headers}
            client.request("GET", url.target, headers=sent)
            connection.settimeout(_SLICE_S)
            answer = Answer(url, what, connection, transfer)
        except BaseException:
            connection.close()
            raise
    try:
        yield answer
    finally:
        answer.close()


def _connected(url: Url, what: str, rules: HttpRules, transfer: Transfer) -> socket.socket:
    found = [(x[0], x[4]) for x in socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)]
    allowed = rules.reachable(url, (str(place[0]) for _, place in found), what)
    places = [(family, place) for family, place in found if place[0] in allowed]
    connection = _first(places[:_ADDRESSES], transfer)
    if url.scheme == "http":
        return connection
    try:
        # A body that is cut off must not look like one that has ended: hence no ragged end. Python 3.11.2 (Debian 12)
        # tells OpenSSL 3 to take one for an end, and no later one does (github.com/python/cpython/issues/95494).
        context = ssl.create_default_context()
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        return context.wrap_socket(connection, server_hostname=url.host, suppress_ragged_eofs=False)
    except BaseException:
        connection.close()
        raise


def _first(places: Sequence[tuple[int, Any]], transfer: Transfer) -> socket.socket:
    """A connection to the first address that takes one. Nothing is resolved here."""
    failure: OSError | None = None
    for family, place in places:
        transfer.check()
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_S)
        try:
            connection.connect(place)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure or OSError("no address")


@contextmanager
def _explained(url: Url, what: str) -> Generator[None]:
    """Errors of sockets, TLS and HTTP as ours, saying who and why."""
    try:
        yield
    except socket.gaierror as error:
        if error.errno in _NO_NAME:
            raise ObjectMissingError(f"{what}: there is no host {url.host}") from error
        raise StorageError(f"{what}: the address of {url.host} cannot be found now: {error.strerror}") from error
    except ssl.SSLCertVerificationError as error:
        raise StorageRefusedError(
            f"{what}: the certificate of {url.site} is not trusted: {error.verify_message};"
            " SSL_CERT_FILE names a file with further authorities"
        ) from error
    except (http.client.HTTPException, OSError) as error:
        reason = str(error) or type(error).__name__
        raise StorageError(f"{what}: {url.site} cannot be read: {reason}") from error
