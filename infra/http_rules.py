"""Which http(s) inputs may be fetched: only from hosts that the operator names, and only from public addresses.

A task document comes from outside, and a node stands inside: without these rules a document could read what only this
network may (databases, admin pages, a cloud's metadata service). They hold for every redirect too. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from infra.errors import StorageRefusedError
from infra.settings import Settings

#: The ports that a host pattern without a port stands for.
PORTS = {"http": 80, "https": 443}
#: The one block that IANA gives out for the public internet.
_GLOBAL_V6 = IPv6Network("2000::/3")
#: Special blocks that `ipaddress` does not know as such in every version of Python.
_SPECIAL = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))
#: What may stand in a request line; everything else is percent-encoded, what is encoded stays.
_SAFE = "%/:?[]@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Url:
    """An http(s) URL taken apart once, so that what is judged is what is asked; `target` goes into the request line."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL; a fragment is dropped.

        Raises:
            StorageRefusedError: it has another scheme, no host, or credentials.
        """
        try:
            parts = urlsplit(text)
            scheme, name, port = parts.scheme.lower(), (parts.hostname or "").rstrip("."), parts.port
            host = name if ":" in name else name.encode("idna").decode().lower()
        except ValueError as error:  # UnicodeError among them
            raise StorageRefusedError(f"{text!r} is no URL: {error}") from None
        if scheme not in PORTS or not host or parts.username is not None or port == 0:
            raise StorageRefusedError(f"{text!r} is no http(s) URL with a host and without credentials")
        query = f"?{parts.query}" if parts.query else ""
        return cls(scheme, host, port or PORTS[scheme], quote(f"{parts.path or '/'}{query}", safe=_SAFE))

    def moved(self, location: str) -> Self:
        """Where a redirect leads. Raises StorageRefusedError as `parse` does, and for a way from https to http."""
        try:
            there = self.parse(urljoin(str(self), location))
        except ValueError as error:
            raise StorageRefusedError(f"{self.site} redirects to what is no URL: {error}") from None
        if (self.scheme, there.scheme) == ("https", "http"):
            raise StorageRefusedError(f"{self.site} redirects from https to http, which is not followed")
        return there

    @property
    def site(self) -> str:
        """Host and, unless it is the usual one, port."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.site}{self.target}"


@dataclass(frozen=True, slots=True)
class HttpRules:
    """What the operator allows; `limit_bytes` is the longest input."""

    hosts: tuple[str, ...]
    networks: tuple[IPv4Network | IPv6Network, ...]
    limit_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules that the settings give."""
        return cls(settings.http_hosts, settings.http_networks, settings.http_limit_mb * 1_048_576)

    def check(self, url: Url, what: object) -> None:
        """See that the host may be asked.

        Raises:
            StorageRefusedError: it may not; `what` begins the sentence.
        """
        if not self.hosts:
            raise StorageRefusedError(
                f"{what}: http(s) inputs are not allowed here; SISYPHUS_HTTP_HOSTS names the hosts that may be asked"
            )
        if not any(_matches(pattern, url) for pattern in self.hosts):
            raise StorageRefusedError(
                f"{what}: {url.site} is not among the allowed hosts; SISYPHUS_HTTP_HOSTS has {', '.join(self.hosts)}"
            )

    def reachable(self, url: Url, addresses: Iterable[str], what: object) -> Sequence[str]:
        """Those addresses of the host that may be connected to.

        Raises:
            StorageRefusedError: none of them is public or in an allowed network.
        """
        known = list(dict.fromkeys(addresses))
        found = [address for address in known if self._is_reachable(address)]
        if not found:
            raise StorageRefusedError(
                f"{what}: {url.host} is at {', '.join(known)}, which is no public address;"
                " SISYPHUS_HTTP_NETWORKS names the networks that may be reached all the same"
            )
        return found

    def _is_reachable(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return _is_public(found) or any(found in network for network in self.networks)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv4Address):
        return not (address.is_multicast or address.is_reserved)
    # An IPv4 address wrapped for a transition (6to4, Teredo, NAT64) is not looked into: the wrapper itself is refused.
    return address in _GLOBAL_V6 and address.sixtofour is None and address.teredo is None


def _matches(pattern: str, url: Url) -> bool:
    host, port = _parted(pattern.casefold())
    return fnmatchcase(url.host, host) and (fnmatchcase(str(url.port), port) if port else url.port == PORTS[url.scheme])


def _parted(pattern: str) -> tuple[str, str]:
    """Host and port of a pattern; an IPv6 address with a port is written in brackets."""
    if pattern.startswith("["):
        host, _, rest = pattern[1:].partition("]")
        return host, rest.removeprefix(":")
    if pattern.count(":") > 1:
        return pattern, ""
    host, _, port = pattern.partition(":")
    return host, port
