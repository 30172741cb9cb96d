"""The address that a door listens on: who may reach it, and its socket.

Knows nothing of HTTP, so that `sisyphus up`, which only holds the socket, stays small.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

from infra.errors import ConfigurationError
from infra.settings import Settings


def check_exposure(settings: Settings) -> None:
    """Refuse to listen to the network without a token.

    Raises:
        ConfigurationError: others can reach the host's address, and no token is set.
    """
    if not is_loopback(settings.host) and not settings.published_on_loopback and not _token(settings):
        raise ConfigurationError(
            f"listening on {settings.host} lets anybody on the network run commands here; set SISYPHUS_TOKEN to a "
            "long random word (e.g. from `openssl rand -hex 24`), or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def open_socket(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is known before anything is started.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host.strip("[]"), port))
    except (OSError, UnicodeError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {reason}; stop what uses it, or choose another with --port (0: any)"
        ) from None
    return opened


def url_of(settings: Settings, listening: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host = settings.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _token(settings: Settings) -> str:
    return settings.token.get_secret_value() if settings.token else ""
