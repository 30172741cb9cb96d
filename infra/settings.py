"""All settings, from ``SISYPHUS_*`` variables and one TOML file; the only reader of the environment.

Every component is chosen by URL. The defaults are the embedded system below the data directory.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import socket
import tomllib
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from infra.errors import ConfigurationError
from infra.log import get_logger
from schemas.ids import DEFAULT_QUEUE
from schemas.lease import LeaseTerms

log = get_logger(__name__)

#: Variable that names the settings file.
_CONFIG = "SISYPHUS_CONFIG"
#: Variables that others read: the compose file, and the commands of a task.
_OTHERS = frozenset(
    f"SISYPHUS_{name}" for name in ("AMQP_PORT", "DOOR_PORT", "S3_PORT", "VOICE_PORT", "TASK_ID", "ATTEMPT", "SANDBOX")
)


class Settings(BaseSettings):
    """Settings of every role; a role reads only what it needs."""

    model_config = SettingsConfigDict(
        env_prefix="SISYPHUS_", env_nested_delimiter="__", frozen=True, extra="ignore", toml_file=None
    )

    data: Path = Field(default=Path(".data"), description="directory of the embedded system")
    database: str = Field(default="", description="sqlite+aiosqlite:///… or postgresql+asyncpg://…; default below data")
    objects: str = Field(default="", description="store of bucket:key remotes: file:///… or s3://?endpoint=…")
    broker: str = Field(default="", description="amqp://…; empty: no broker, nodes claim from the database")
    runtime: str = Field(default="", description="docker:// or bwrap://; empty: docker if it answers, else bwrap")
    queue: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$",
        description="worker class: nodes run only its tasks; NAME-queue instead of sisyphus-queue",
    )

    cluster: str = Field(
        default="", description="tells containers of two clusters on one machine apart if their database URLs are equal"
    )
    node_id: str = Field(default="", description="default: <hostname>-<random>")
    slots: int = Field(default=2, ge=1, le=256, description="tasks that a node runs at the same time")
    lease: LeaseTerms = Field(default=LeaseTerms(), description="the same on every node")
    nodes_lost_limit: int = Field(default=3, ge=1, description="nodes lost on one task before it is given up")
    claim_grace_s: float = Field(
        default=2.0, ge=0, description="how long the broker may deliver before a row is claimed"
    )
    drain_s: float = Field(default=600.0, ge=0, description="how long running tasks may finish on SIGTERM")
    keep_days: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="days until ended tasks, logs, dead letters, sessions are removed; 0: never; the same everywhere",
    )
    log_limit_mb: int = Field(default=16, ge=1, description="bound of one attempt's spooled log")

    default_bucket: str = Field(default="sisyphus", description="bucket of examples, results and logs")
    file_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="directories that file:// remotes may touch"
    )
    http_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="hosts that http(s) inputs may come from, as shell patterns with an optional :port"
    )
    http_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), description="networks that are not public and may be reached by http(s) inputs, as in 10.1.0.0/16"
    )
    http_limit_mb: int = Field(default=2048, ge=1, description="longest http(s) input, in MiB")
    images: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",), description="allowed images, as shell patterns"
    )
    allow_network: bool = Field(default=False, description="may a document ask for resources.network=bridge")
    docker_host_dir: str = Field(default="", description="where the node's task root lies for the Docker daemon")
    templates: Annotated[tuple[Path, ...], NoDecode] = Field(default=(), description="further template folders")

    host: str = Field(default="127.0.0.1", description="address that a door listens on")
    port: int = Field(default=8080, ge=0, le=65535, description="port of a door; 0: any free one")
    token: SecretStr | None = Field(default=None, description="bearer token of every door; required off loopback")
    published_on_loopback: bool = Field(
        default=False, description="the port is reachable from loopback only although host is not (a container's port)"
    )
    alive_file: Path | None = Field(default=None, description="a file that a node touches at every confirmed renewal")
    sessions: int = Field(default=4, ge=1, description="voice sessions at the same time")
    models: Path | None = Field(default=None, description="folder of speech weights")
    secrets: dict[str, SecretStr] = Field(default_factory=dict, description="SISYPHUS_SECRETS__NAME=value")

    log_level: str = Field(default="info", description="debug, info, warning or error; debug shows what was said")
    log_format: str = Field(
        default="auto", pattern="^(auto|json|text)$", description="auto: text on a terminal, else JSON"
    )

    @field_validator("data", "models")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @field_validator("file_roots", "http_hosts", "http_networks", "images", "templates", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """A list in the environment: values between commas, or a JSON list where a value holds a comma."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError as error:
                raise ValueError(f"neither values between commas nor a JSON list: {error}") from None
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator("token", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        return value or None  # compose passes an unset variable on as an empty one

    @property
    def worker_class(self) -> str:
        """The class of a node, and of the tasks that come in through a door and name none."""
        return self.queue or DEFAULT_QUEUE

    @property
    def database_url(self) -> str:
        """The state store's URL."""
        return self.database or f"sqlite+aiosqlite:///{self.data / 'sisyphus.db'}"

    @property
    def objects_url(self) -> str:
        """The object store's URL."""
        return self.objects or f"file://{self.data / 'objects'}"

    def secret(self, name: str) -> str | None:
        """The secret of that name, or None; case does not count, since environment variables lose it."""
        wanted = name.casefold()
        return next((v.get_secret_value() for k, v in self.secrets.items() if k.casefold() == wanted), None)

    @property
    def work_root(self) -> Path:
        """Where a node keeps the files of running attempts."""
        return self.data / "work"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        file = os.environ.get(_CONFIG)
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, Path(file))) if file else sources


def load_settings(**overrides: object) -> Settings:
    """Settings from arguments, environment and file; arguments that are None count as not given.

    Raises:
        ConfigurationError: a value is out of its bounds; the message names the setting.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    _check_file(os.environ.get(_CONFIG))
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_explained(e["loc"], e["msg"]) for e in error.errors())) from None


def unknown_settings() -> dict[str, str]:
    """Variables and keys of the settings file that name no setting, each with the setting it is nearest to, or ""."""
    file = os.environ.get(_CONFIG)
    keys = tomllib.loads(Path(file).read_text(encoding="utf-8")).keys() if file else ()
    return {name: _nearest(name) for name in (*filter(_is_unknown, os.environ), *(k for k in keys if k not in _NAMES))}


def warn_of_unknown_settings() -> None:
    """Log what was set and means nothing here, which is mostly a slip of the pen."""
    for name, near in unknown_settings().items():
        log.warning("setting_unknown", name=name, meant=near or None, consequence="it has no effect")


def _is_unknown(variable: str) -> bool:
    if not variable.startswith("SISYPHUS_") or variable == _CONFIG or variable in _OTHERS:
        return False
    return variable.removeprefix("SISYPHUS_").lower().partition("__")[0] not in _NAMES


def _nearest(name: str) -> str:
    prefix = "SISYPHUS_" if name.startswith("SISYPHUS_") else ""
    near = difflib.get_close_matches(name.removeprefix(prefix).lower(), _NAMES, n=1)
    return (f"{prefix}{near[0].upper()}" if prefix else near[0]) if near else ""


_NAMES = frozenset(Settings.model_fields)


def _check_file(file: str | None) -> None:
    """A settings file that is named must be there and sound: without it, the defaults would silently hold.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML.
    """
    if not file:
        return
    try:
        with Path(file).open("rb") as stream:
            tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(f"{_CONFIG}: {file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{_CONFIG}: {file} is not TOML: {error}") from None


def _explained(place: tuple[int | str, ...], message: str) -> str:
    """One wrong setting by the name of its variable."""
    unparsed = re.search(r'error parsing value for field "(\w+)"', message)
    if unparsed is not None:
        name = f"SISYPHUS_{unparsed[1].upper()}"
        return f"{name}: must be a JSON object; its parts can be given alone, as {name}__PART=value"
    return f"SISYPHUS_{'__'.join(map(str, place)).upper()}: {message.removeprefix('Value error, ')}"


def child_environment(settings: Settings, **extra: str) -> dict[str, str]:
    """The environment for a process of ours that must see the same settings; it need not warn of the same strangers."""
    known = {name: value for name, value in os.environ.items() if not _is_unknown(name)}
    return {**known, "SISYPHUS_DATA": str(settings.data), **extra}


def host_name() -> str:
    """This machine's name, fit for a node id."""
    name = "".join(c if c.isalnum() or c in "-." else "-" for c in socket.gethostname()).strip("-.")
    return name[:40] or "node"
