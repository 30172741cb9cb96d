"""Runtime: Docker. The only importer of the `docker` SDK; its blocking calls and its errors end in this file.

Images are pulled only if missing. Containers are found again by their labels.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import docker
from docker import errors
from docker.utils import kwargs_from_env, parse_repository_tag
from requests import exceptions

from infra.errors import CommandNotFoundError, ConfigurationError, ContainerError, ImageError, RuntimeUnavailableError
from infra.runtime import LABEL_NODE, ExitStatus, Orphan
from infra.runtimes.docker_options import EngineFacts
from infra.runtimes.docker_runtime import DockerRuntime
from infra.runtimes.docker_stream import Closable
from infra.settings import Settings

#: Seconds that the engine may take for one call, and for one look at a container that is being waited for.
CALL_S, LOOK_S = 60, 60
#: Seconds that an engine may be away (a restart) before its containers are given up, and between two looks.
AWAY_S, PAUSE_S = 60.0, 0.5
#: Connections that are kept open.
POOL = 64
#: What the engine says when the program cannot be executed, and when it says so for another reason.
_NO_PROGRAM = re.compile(r"exec: |executable file not found|exec format error|no such file or directory: unknown$")
_NOT_A_PROGRAM = re.compile(r"mount|cgroup|network|userns|seccomp", re.IGNORECASE)
#: Answers of a registry that another try does not change.
_NO_IMAGE = re.compile(r"not found|manifest unknown|denied|unauthorized|no such image|invalid reference", re.IGNORECASE)

_Json = dict[str, Any]


class _Socket(Protocol):
    """The SDK's socket: the connection itself under TLS, else a file over it."""

    def close(self) -> None: ...


class _Api(Protocol):
    """The part of `docker.APIClient` that is used, with its types."""

    def version(self) -> _Json: ...
    def info(self) -> _Json: ...
    def inspect_image(self, image: str) -> _Json: ...
    def pull(self, repository: str, tag: str | None, *, stream: bool, decode: bool) -> Iterator[_Json]: ...
    def import_image_from_data(self, data: bytes, *, repository: str, tag: str) -> str: ...
    def create_container_from_config(self, config: _Json) -> _Json: ...
    def attach_socket(self, container: str, params: Mapping[str, int]) -> _Socket: ...
    def start(self, container: str) -> None: ...
    def wait(self, container: str, timeout: float) -> _Json: ...
    def inspect_container(self, container: str) -> _Json: ...
    def kill(self, container: str, signal: str) -> None: ...
    def remove_container(self, container: str, *, v: bool, force: bool) -> None: ...
    def containers(self, *, all: bool, filters: _Json) -> list[_Json]: ...
    def get_archive(self, container: str, path: str) -> tuple[Iterator[bytes], _Json]: ...
    def close(self) -> None: ...


class PullError(ImageError):
    """A pull failed for a reason that may pass: the registry or the network."""

    retryable = True


@contextmanager
def _translated(what: str) -> Generator[None]:
    """Vendor errors out, ours in."""
    try:
        yield
    except (errors.DockerException, exceptions.RequestException, OSError) as error:
        raise ContainerError(f"Docker failed to {what}: {_text(error)}") from error


def _text(error: Exception) -> str:
    explanation = getattr(error, "explanation", None)
    return str(explanation or error).strip()


class DockerEngine:
    """The engine's calls that a runtime needs. Every one blocks; all may be used from many threads."""

    def __init__(self, api: _Api) -> None:
        """Use a connected client."""
        self._api = api

    def describe(self) -> EngineFacts:
        """What does not change while the engine runs."""
        with _translated("answer"):
            info = self._api.info()
            is_rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
            return EngineFacts(str(self._api.version()["Arch"]), int(info["NCPU"]), is_rootless)

    def image_id(self, name: str) -> str | None:
        """The id of an image that is present, else None."""
        with _translated(f"look for the image {name!r}"):
            try:
                return str(self._api.inspect_image(name)["Id"])
            except errors.NotFound:
                return None

    def pull(self, name: str) -> None:
        """Fetch an image.

        Raises:
            ImageError: the registry does not have it, or did not give it (`PullError`).
        """
        repository, tag = parse_repository_tag(name)
        try:
            for line in self._api.pull(repository, tag or "latest", stream=True, decode=True):
                if "error" in line:
                    raise _pull_error(name, str(line["error"]))
        except (errors.DockerException, exceptions.RequestException) as error:
            raise _pull_error(name, _text(error)) from error

    def import_image(self, name: str, tar: bytes) -> None:
        """Make an image of a root file system."""
        repository, tag = parse_repository_tag(name)
        with _translated(f"import {name!r}"):
            self._api.import_image_from_data(tar, repository=repository, tag=tag or "latest")

    def create(self, body: _Json) -> str:
        """Create a container; returns its id.

        Raises:
            ImageError: the image is not there.
        """
        with _translated(f"create a container of {body['Image']!r}"):
            try:
                return str(self._api.create_container_from_config(body)["Id"])
            except errors.NotFound as error:
                raise ImageError(f"image {body['Image']!r} is not on the node: {_text(error)}") from error
            except errors.APIError as error:
                if "No command specified" in _text(error):
                    raise CommandNotFoundError(
                        f"image {body['Image']!r}: no command given and none built in"
                    ) from error
                raise

    def attach(self, container_id: str, *, with_stdin: bool) -> tuple[socket.socket, Closable]:
        """The output of a container, from before its start: the socket, and the object that must outlive it."""
        params = {"stdin": int(with_stdin), "stdout": 1, "stderr": 1, "stream": 1}
        with _translated("attach to a container"):
            owner = self._api.attach_socket(container_id, params)
        raw = cast("socket.socket", getattr(owner, "_sock", owner))
        if with_stdin and isinstance(raw, ssl.SSLSocket):
            owner.close()
            raise ContainerError("stdin cannot be ended over a TLS connection to Docker; give the file as an input")
        return raw, owner

    def start(self, container_id: str, program: str) -> None:
        """Start it.

        Raises:
            CommandNotFoundError: `program` cannot be executed.
        """
        with _translated(f"start {program!r}"):
            try:
                self._api.start(container_id)
            except errors.APIError as error:
                text = _text(error)
                reason = text.rpartition("caused:")[2]
                if _NO_PROGRAM.search(reason) and not _NOT_A_PROGRAM.search(reason):
                    raise CommandNotFoundError(f"{program!r} cannot be executed in the image: {text}") from error
                raise

    def wait(self, container_id: str) -> ExitStatus:
        """Block until the engine's record says that the container has exited; an engine's restart is waited out.

        Raises:
            ContainerError: it was removed, or the engine stays away.
        """
        away_since: float | None = None
        while True:
            try:
                self._api.wait(container_id, timeout=LOOK_S)
                state = self._api.inspect_container(container_id)["State"]
            except errors.NotFound as error:
                raise ContainerError(f"container {container_id[:12]} was removed before its end was seen") from error
            except exceptions.ReadTimeout:
                continue
            except (errors.DockerException, exceptions.RequestException) as error:
                now = time.monotonic()
                away_since = now if away_since is None else away_since
                if now - away_since > AWAY_S:
                    raise ContainerError(f"Docker was lost while {container_id[:12]} ran: {_text(error)}") from error
                time.sleep(PAUSE_S)
                continue
            if state["Status"] in {"exited", "dead"}:
                return ExitStatus(int(state["ExitCode"]), bool(state["OOMKilled"]))
            away_since = None
            time.sleep(PAUSE_S / 10)

    def kill(self, container_id: str, signal: str) -> None:
        """Signal its first process; SIGKILL ends all of them. One that has ended or gone is left in peace."""
        with _translated("kill a container"):
            try:
                self._api.kill(container_id, signal)
            except errors.APIError as error:
                if error.status_code not in {404, 409}:
                    raise

    def remove(self, container_id: str) -> None:
        """Remove it with its anonymous volumes, running or not; one that has gone is fine."""
        with _translated("remove a container"):
            try:
                self._api.remove_container(container_id, v=True, force=True)
            except errors.APIError as error:
                # 409: another removal is in progress.
                if error.status_code not in {404, 409}:
                    raise

    def file(self, container_id: str, path: str) -> bytes | None:
        """The tar archive of something small in a container, started or not; None if it does not exist."""
        with _translated(f"look at {path!r}"):
            try:
                return b"".join(self._api.get_archive(container_id, path)[0])
            except errors.NotFound:
                return None

    def exists(self, container_id: str, path: str) -> bool:
        """Whether a container, started or not, has something at `path`; its content is not read."""
        with _translated(f"look at {path!r}"):
            try:
                self._api.get_archive(container_id, path)
            except errors.NotFound:
                return False
            return True

    def mounts(self, container_id: str) -> Sequence[_Json] | None:
        """What is mounted into a container; None if this engine does not know it."""
        with _translated("inspect the node's own container"):
            try:
                return cast("list[_Json]", self._api.inspect_container(container_id)["Mounts"])
            except errors.NotFound:
                return None

    def labelled(self, node_id: str | None) -> Sequence[Orphan]:
        """The containers that carry our labels."""
        label = LABEL_NODE if node_id is None else f"{LABEL_NODE}={node_id}"
        with _translated("list containers"):
            found = self._api.containers(all=True, filters={"label": [label]})
        return [Orphan(str(c["Id"]), dict(c.get("Labels") or {})) for c in found]

    def close(self) -> None:
        """Close the connections."""
        self._api.close()


def _pull_error(name: str, reason: str) -> ImageError:
    message = f"image {name!r} is not on the node and cannot be pulled: {reason}"
    return ImageError(message) if _NO_IMAGE.search(reason) else PullError(message)


def _connection(url: str) -> dict[str, Any]:
    """How to reach the engine that a ``docker://`` URL names."""
    parts = urlsplit(url)
    if parts.netloc:
        return {"base_url": f"tcp://{parts.netloc}"}
    if parts.path:
        return {"base_url": f"unix://{parts.path}"}
    return cast("dict[str, Any]", kwargs_from_env())


def _connect(url: str) -> DockerEngine:
    try:
        # `auto` asks the engine once, so that an older one is spoken to in its own version.
        client = docker.APIClient(version="auto", timeout=CALL_S, max_pool_size=POOL, **_connection(url))
    except (errors.DockerException, exceptions.RequestException, OSError) as error:
        raise RuntimeUnavailableError(
            f"no Docker engine answers ({_text(error)}); start one (as root: apt-get install docker.io), let this user"
            " use its socket (group docker), or name it by DOCKER_HOST or SISYPHUS_RUNTIME=docker://HOST:PORT"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"runtime {url!r}: {error}") from error
    return DockerEngine(cast("_Api", client))


def open_runtime(url: str, settings: Settings) -> DockerRuntime:
    """``docker://`` follows DOCKER_HOST, ``docker:///path`` is a socket, ``docker://host:port`` a TCP engine.

    Nothing is connected before the first use.
    """
    return DockerRuntime(partial(_connect, url), settings, Path("/proc/self/mountinfo"))
