"""The task document: what to run, on what, and where the results go.

Parse foreign JSON with `schemas.legacy.parse_task`, which also accepts every form of the original Sisyphus.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_serializer

from schemas.document import Document
from schemas.failure import RefusalError
from schemas.ids import QueueName, TaskId
from schemas.paths import Capture, Internal, Remote, Scheme, Target

#: Bounds that keep one document from filling a database row or a command line.
MAX_COMMANDS, MAX_FILES, MAX_ARGUMENTS, MAX_ARGUMENT_CHARS = 64, 512, 1024, 131_072

Label = Annotated[str, Field(max_length=256)]
_ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
EnvName = Annotated[str, Field(pattern=_ENV_NAME)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86400, allow_inf_nan=False)]


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise RefusalError("nul", "NUL bytes cannot be passed to a program")
    return value


Argument = Annotated[str, Field(max_length=MAX_ARGUMENT_CHARS), AfterValidator(_no_nul)]


class Input(Document):
    """One object, or everything below a prefix, made visible to the commands read-only."""

    remote: Remote
    internal: Internal

    @property
    def is_directory(self) -> bool:
        """A directory when either side says so; the original keys on the internal path."""
        return self.internal.is_directory or self.remote.is_directory


class Output(Document):
    """One file, directory or captured stream that goes back to the object store."""

    remote: Remote
    internal: Target

    @property
    def is_directory(self) -> bool:
        """Whether everything below the internal path is stored under the remote prefix."""
        return isinstance(self.internal, Internal) and (self.internal.is_directory or self.remote.is_directory)


class Command(Document):
    """One program run to its end; the image's ENTRYPOINT applies, no shell is added."""

    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=MAX_ARGUMENTS)]
    title: Label = ""
    stdin: Internal | None = None
    stdout: Internal | None = None
    stderr: Internal | None = None
    workdir: Internal | None = None


class Resources(Document):
    """What one command may use. Containers are hardened by default; a document asks for more explicitly."""

    cpus: Annotated[float, Field(gt=0, le=1024)] = 1.0
    memory_mb: Annotated[int, Field(ge=6, le=16_777_216)] = 512
    disk_mb: Annotated[int, Field(ge=1, le=16_777_216)] = 1024
    pids: Annotated[int, Field(ge=4, le=65_536)] = 256
    network: Annotated[str, Field(pattern="^(none|bridge)$")] = "none"
    read_only_root: bool = True


class TaskDocument(Document):
    """A request to run commands over objects. Unknown keys are kept and travel with the task."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_default=True)

    id: TaskId | None = None
    name: Label = "no-name"
    workflow: Label = "no-workflow"
    queue: QueueName | None = None  # the worker class that may run it; None: that of the door or queue it came by
    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$")]
    commands: Annotated[tuple[Command, ...], Field(min_length=1, max_length=MAX_COMMANDS)]
    inputs: Annotated[tuple[Input, ...], Field(max_length=MAX_FILES)] = ()
    outputs: Annotated[tuple[Output, ...], Field(max_length=MAX_FILES)] = ()
    volumes: Annotated[tuple[Internal, ...], Field(max_length=32)] = ()  # shared by the commands, not stored
    resources: Resources = Resources()
    timeout_s: Seconds = 3600.0
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    retry_exit_codes: Annotated[tuple[int, ...], Field(max_length=256)] = ()
    checkpoint: bool = False
    env: Annotated[dict[EnvName, Argument], Field(max_length=256)] = Field(default_factory=dict)
    secrets: Annotated[dict[EnvName, Label], Field(max_length=64)] = Field(default_factory=dict)
    tags: Annotated[dict[Label, Label], Field(max_length=64)] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _wire(self, handler: Any) -> dict[str, JsonValue]:
        """Inputs and outputs go out as the map that people write, or as pairs when one remote is used twice."""
        wire: dict[str, Any] = handler(self)
        for side in ("inputs", "outputs"):
            files: tuple[Input | Output, ...] = getattr(self, side)
            pairs = [[str(f.remote), str(f.internal)] for f in files]
            wire[side] = dict(pairs) if len({p[0] for p in pairs}) == len(pairs) else pairs
        return wire

    def model_post_init(self, _context: object) -> None:
        """Reject mounts that cannot exist together, up front and one sentence each."""
        _check_inputs(self)
        _check_outputs(self)
        _check_writable(self)
        _check_streams(self)

    @property
    def session(self) -> str | None:
        """The voice session that asked for it, if one did."""
        return self.tags.get("session")


def _check_inputs(task: TaskDocument) -> None:
    seen: list[Input] = []
    for number, item in enumerate(task.inputs):
        if item.is_directory and item.remote.scheme in {Scheme.HTTP, Scheme.HTTPS}:
            message = f"{item.remote} is one file, and {item.internal} a directory; leave out the last slash"
            raise RefusalError("input_directory", message, f"inputs[{number}].internal")
        for other in seen:
            field = f"inputs[{number}].internal"
            if other.internal.bare == item.internal.bare:
                message = f"{item.internal} is already the internal path of {other.remote}; give each input its own"
                raise RefusalError("input_collision", message, field)
            inner, outer = sorted((item, other), key=lambda x: -len(x.internal.bare))
            if outer.internal.contains(inner.internal):
                message = f"input {inner.internal} lies below input {outer.internal}, which is read-only"
                raise RefusalError("input_nested", message, field)
        seen.append(item)


def _check_outputs(task: TaskDocument) -> None:
    remotes: set[str] = set()
    for number, item in enumerate(task.outputs):
        field = f"outputs[{number}].remote"
        remote = str(item.remote).rstrip("/")
        if remote in remotes:
            raise RefusalError("output_collision", f"two outputs share the remote path {remote}", field)
        remotes.add(remote)
        if item.remote.scheme in {Scheme.HTTP, Scheme.HTTPS}:
            raise RefusalError("output_scheme", f"{item.remote}: http(s) is for inputs only", field)
        if item.remote.is_reserved:
            raise RefusalError("output_reserved", f"{item.remote}: .sisyphus/ belongs to the cluster", field)
        if isinstance(item.internal, Capture) and item.remote.is_directory:
            raise RefusalError("output_capture", f"{item.remote}: a captured stream needs a file", field)


def _check_writable(task: TaskDocument) -> None:
    """Outputs and volumes: each its own path, and none at or below an input."""
    seen: set[str] = set()
    for field, path in _writable(task):
        if path.bare in seen:
            message = f"{path} is the internal path of two outputs or volumes; give each its own"
            raise RefusalError("output_collision", message, field)
        seen.add(path.bare)
        for item in task.inputs:
            if item.internal.contains(path):
                message = f"{path} lies at or below the read-only input {item.internal}"
                raise RefusalError("output_under_input", message, field)


def _writable(task: TaskDocument) -> list[tuple[str, Internal]]:
    outputs = [(f"outputs[{i}].internal", x.internal) for i, x in enumerate(task.outputs)]
    volumes = [(f"volumes[{i}]", x) for i, x in enumerate(task.volumes)]
    return [(field, x) for field, x in [*outputs, *volumes] if isinstance(x, Internal)]


def _check_streams(task: TaskDocument) -> None:
    writable = [path for _, path in _writable(task)]
    readable = [*writable, *(x.internal for x in task.inputs)]
    for number, command in enumerate(task.commands):
        streams = {"stdout": command.stdout, "stderr": command.stderr, "stdin": command.stdin}
        for name, path in streams.items():
            if path is None:
                continue
            field = f"commands[{number}].{name}"
            if path.is_directory:
                raise RefusalError("stream_directory", f"{path} must be a file, not a directory", field)
            if not any(mount.contains(path) for mount in (readable if name == "stdin" else writable)):
                where = "input, output or volume" if name == "stdin" else "output or volume"
                raise RefusalError("stream_unmapped", f"{path} is not inside any {where} of the document", field)
