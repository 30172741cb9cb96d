"""The parts of the Docker runtime that need no engine: frames, the create request, paths, errors, a lost engine."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

docker = pytest.importorskip("docker")

from docker import errors  # noqa: E402 - only where the package is
from requests import Response, exceptions  # noqa: E402

from infra.errors import CommandNotFoundError, ContainerError, ImageError  # noqa: E402
from infra.runtime import ContainerSpec, ExitStatus, Mount, Stream  # noqa: E402
from infra.runtimes import docker as adapter  # noqa: E402
from infra.runtimes import docker_probe  # noqa: E402
from infra.runtimes.docker import DockerEngine, PullError  # noqa: E402
from infra.runtimes.docker_mounts import MountMap, map_of_mounts, own_container_id  # noqa: E402
from infra.runtimes.docker_options import EngineFacts, create_body  # noqa: E402
from infra.runtimes.docker_stream import FrameDecoder  # noqa: E402
from schemas.task import Resources  # noqa: E402

FACTS = EngineFacts("amd64", 2)
PIECES = st.lists(st.tuples(st.sampled_from(list(Stream)), st.binary(max_size=40)), max_size=12)


@given(PIECES, st.lists(st.integers(1, 30), max_size=40))
def test_frames_survive_any_cut(pieces: list[tuple[Stream, bytes]], cuts: list[int]) -> None:
    """Wherever the network cuts the stream, each stream's bytes arrive whole and in order."""
    number = {Stream.STDOUT: 1, Stream.STDERR: 2}
    wire = b"".join(struct.pack(">BxxxL", number[s], len(d)) + d for s, d in pieces)
    decoder, got = FrameDecoder(), {Stream.STDOUT: b"", Stream.STDERR: b""}
    while wire:
        size = cuts.pop() if cuts else len(wire)
        for stream, data in decoder.feed(wire[:size]):
            got[stream] += data
        wire = wire[size:]
    for stream in Stream:
        assert got[stream] == b"".join(d for s, d in pieces if s is stream)


def test_a_container_is_shut_by_default() -> None:
    """Without a word in the document there is no network, capability, privilege or writable root."""
    host = create_body(ContainerSpec("i", ["true"]), FACTS, str)["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["ReadonlyRootfs"] is True
    assert host["Memory"] == host["MemorySwap"] == 512 << 20
    assert host["PidsLimit"] == 256
    assert "exec" in host["Tmpfs"]["/tmp"].split(",")


def test_cpus_are_clamped_to_the_engines() -> None:
    """The engine refuses more CPUs than it has, so that no more are asked for."""
    spec = ContainerSpec("i", ["true"], resources=Resources(cpus=64))
    assert create_body(spec, FACTS, str)["HostConfig"]["NanoCpus"] == 2_000_000_000


def test_files_belong_to_the_node_also_with_a_rootless_engine() -> None:
    """The node's own user writes; inside a rootless engine that user is root."""
    spec = ContainerSpec("i", ["true"])
    assert create_body(spec, FACTS, str)["User"] == f"{os.getuid()}:{os.getgid()}"
    assert create_body(spec, EngineFacts("amd64", 2, is_rootless=True), str)["User"] == "0:0"


def test_workdir_and_entrypoint_are_the_images_unless_given() -> None:
    """Only what the document names is overridden."""
    assert not {"WorkingDir", "Entrypoint", "OpenStdin"} & create_body(ContainerSpec("i", ["x"]), FACTS, str).keys()
    assert create_body(ContainerSpec("i", ["x"], workdir="/w"), FACTS, str)["WorkingDir"] == "/w"


def test_a_mount_at_tmp_replaces_the_tmpfs() -> None:
    """Two mounts at one place would be refused by the engine."""
    spec = ContainerSpec("i", ["x"], [Mount(Path("/l"), "/tmp", read_only=False)])
    assert "Tmpfs" not in create_body(spec, FACTS, str)["HostConfig"]


def test_paths_are_translated_by_the_longest_mount(tmp_path: Path) -> None:
    """A path inside a node's container becomes the daemon's, by the mount that is nearest to it."""
    (tmp_path / "data/deep").mkdir(parents=True)
    mounts = [
        {"Type": "bind", "Source": "/host/a", "Destination": str(tmp_path / "data")},
        {"Type": "volume", "Source": "/var/lib/docker/volumes/v/_data", "Destination": str(tmp_path / "data/deep")},
        {"Type": "tmpfs", "Source": "", "Destination": str(tmp_path)},
    ]
    found = map_of_mounts(mounts)
    assert found.source(tmp_path / "data/x: y") == "/host/a/x: y"
    assert found.source(tmp_path / "data/deep/t/f") == "/var/lib/docker/volumes/v/_data/t/f"
    assert found.source(tmp_path / "data") == "/host/a"
    with pytest.raises(ContainerError, match="SISYPHUS_DOCKER_HOST_DIR"):
        found.source(tmp_path / "elsewhere")


def test_links_are_resolved_before_a_path_is_translated(tmp_path: Path) -> None:
    """A link of the node means nothing to the daemon."""
    (tmp_path / "real").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert MountMap().source(tmp_path / "link") == str(tmp_path / "real")


def test_own_container_is_told_from_containers_beside() -> None:
    """Only the files that Docker mounts into /etc tell which container this is; the host's own table does not."""
    own, other = "a" * 64, "b" * 64
    inside = f"512 500 254:0 /var/lib/docker/containers/{own}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw\n"
    beside = f"99 27 0:50 / /var/lib/docker/containers/{other}/mounts/shm rw - tmpfs shm rw\n"
    assert own_container_id(beside + inside) == own
    assert own_container_id(beside) is None


def test_the_probes_program_really_runs(tmp_path: Path) -> None:
    """The hand-made executable is one: it exits with 0."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        pytest.skip(f"no program for {platform.machine()}")
    with tarfile.open(fileobj=BytesIO(docker_probe.image_tar(machine))) as archive:
        archive.extraction_filter = lambda member, _path: member  # `filter=` is unknown to Python before 3.11.4
        archive.extractall(tmp_path)
    assert subprocess.run([tmp_path / "true"], check=False).returncode == 0


def _refusal(status: int, text: str) -> errors.APIError:
    response = Response()
    response.status_code = status
    kind = errors.NotFound if status == 404 else errors.APIError
    return kind("refused", response=response, explanation=text)


class ScriptedApi:
    """Answers each call with the next of its list; errors are raised."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        def call(*_args: object, **_more: object) -> Any:
            answer = self._answers[name].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def engine(**answers: list[Any]) -> DockerEngine:
    api: Any = ScriptedApi(**answers)
    return DockerEngine(api)


def _state(status: str, code: int = 0, oom: bool = False) -> dict[str, Any]:
    return {"State": {"Status": status, "ExitCode": code, "OOMKilled": oom}}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "PAUSE_S", 0.001)


@pytest.mark.usefixtures("impatient")
def test_a_restarted_engine_is_waited_out() -> None:
    """A broken connection is no verdict: only the record of an exited container is."""
    lost = exceptions.ConnectionError("connection reset")
    found = engine(
        wait=[lost, lost, exceptions.ReadTimeout(), {"StatusCode": 0}, {"StatusCode": 0}],
        inspect_container=[_state("running"), _state("exited", 3)],
    )
    assert found.wait("c") == ExitStatus(3)


@pytest.mark.usefixtures("impatient")
def test_an_engine_that_stays_away_loses_its_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the container is given up as lost, which may be tried again."""
    monkeypatch.setattr(adapter, "AWAY_S", 0.01)
    with pytest.raises(ContainerError, match="lost") as caught:
        engine(wait=[exceptions.ConnectionError("refused")] * 10_000).wait("c")
    assert caught.value.retryable


def test_a_container_that_was_removed_has_no_verdict() -> None:
    """Removed behind our back: neither success nor failure."""
    with pytest.raises(ContainerError, match="removed"):
        engine(wait=[_refusal(404, "No such container")]).wait("c")


NO_PROGRAM = [
    'OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "nope": executable'
    " file not found in $PATH: unknown",
    "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec:"
    ' "/etc/passwd": permission denied: unknown',
    "failed to create task: runc create failed: unable to start container process: error during container init: exec:"
    ' "./x": stat ./x: no such file or directory: unknown',
]
REFUSED = [
    "OCI runtime create failed: starting container process caused: process_linux.go:545: container init caused:"
    ' rootfs_linux.go:75: mounting "/x" to rootfs at "/in" caused: not a directory: unknown',
    "failed to create shim task: cannot set cgroup: no such file or directory: unknown",
    "driver failed programming external connectivity",
]


@pytest.mark.parametrize("text", NO_PROGRAM)
def test_a_missing_program_is_known_by_the_engines_words(text: str) -> None:
    """The engines' several ways to say it are one error of ours."""
    with pytest.raises(CommandNotFoundError):
        engine(start=[_refusal(400, text)]).start("c", "nope")


@pytest.mark.parametrize("text", REFUSED)
def test_other_refusals_are_not_blamed_on_the_program(text: str) -> None:
    """Trouble with mounts, groups or networks may pass."""
    with pytest.raises(ContainerError):
        engine(start=[_refusal(500, text)]).start("c", "prog")


@pytest.mark.parametrize(
    ("text", "may_pass"),
    [
        ("manifest unknown", False),
        ("pull access denied for x, repository does not exist", False),
        ("dial tcp: lookup registry: no such host", True),
        ("toomanyrequests: rate limit", True),
        ("received unexpected HTTP status: 503 Service Unavailable", True),
    ],
)
def test_pull_errors_say_whether_another_try_may_help(text: str, may_pass: bool) -> None:
    """A registry's flat no is final, its silence is not; both name the image."""
    with pytest.raises(ImageError, match="some/image:1") as caught:
        engine(pull=[iter([{"status": "Pulling"}, {"error": text}])]).pull("some/image:1")
    assert isinstance(caught.value, PullError) is caught.value.retryable is may_pass


def test_ends_that_came_first_are_fine() -> None:
    """Killing what has ended and removing what has gone are no errors."""
    done = engine(
        kill=[_refusal(409, "is not running"), _refusal(404, "No such container")],
        remove_container=[_refusal(404, "No such container"), _refusal(409, "removal in progress")],
    )
    for _ in range(2):
        done.kill("c", "SIGKILL")
        done.remove("c")
