"""What only the Docker runtime promises: ENTRYPOINT, and a node that itself runs in a container of the same engine."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pydantic
import pytest

from infra.errors import RuntimeUnavailableError
from infra.runtime import ContainerSpec, Runtime
from infra.runtimes.docker import open_runtime
from infra.settings import Settings
from tests.conformance.runtime_kit import finish, usable_runtime
from tests.conftest import need

pytestmark = pytest.mark.docker
NODE_IMAGE = "python:3.11-slim"


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with usable_runtime("docker", tmp_path) as opened:
        yield opened


async def docker(*argv: str, stdin: bytes = b"") -> tuple[int, str]:
    """One call of the docker command line: its exit code and both outputs."""
    need(shutil.which("docker"), "the docker command line")
    process = await asyncio.create_subprocess_exec(
        "docker",
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_images_entrypoint_applies(runtime: Runtime) -> None:
    """The command is given to the image's ENTRYPOINT, and the image's WORKDIR stays."""
    tag = f"sisyphus-test-{secrets.token_hex(4)}:1"
    recipe = b'FROM alpine:3\nWORKDIR /srv\nENTRYPOINT ["/bin/sh", "-c", "echo in $PWD: $0"]\n'
    code, said = await docker("build", "-q", "-t", tag, "-", stdin=recipe)
    assert code == 0, said
    try:
        done = await finish(await runtime.start(ContainerSpec(tag, ["given"])))
        assert done.out == b"in /srv: given\n"
    finally:
        await docker("rmi", "-f", tag)


#: Runs inside a container, as a node would: one task over one file below its data directory.
_NODE = """
import asyncio, json, sys
from pathlib import Path
from infra.errors import SisyphusError
from infra.runtime import ContainerSpec, Mount
from infra.runtimes.docker import open_runtime
from infra.settings import Settings

async def main():
    runtime = open_runtime("docker://", Settings(data=Path("/data")))
    try:
        await runtime.probe()
        folder = Path("/data/work/t1")
        folder.mkdir(parents=True)
        (folder / "in").write_text("seen by the sibling")
        (folder / "out").mkdir()
        mounts = [Mount(folder / "in", "/in", True), Mount(folder / "out", "/out", False)]
        container = await runtime.start(ContainerSpec("alpine:3", ["cp", "/in", "/out/copy"], mounts))
        said = b"".join([data async for _, data in container.output()]).decode()
        status = await container.wait()
        await container.remove()
        print(json.dumps({"code": status.code, "copy": (folder / "out/copy").read_text(), "said": said}))
    except SisyphusError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
    await runtime.close()

asyncio.run(main())
"""


async def node_in_container(*options: str) -> dict[str, str]:
    """Run a node in a container that may talk to the engine; what it reported."""
    need((await docker("image", "inspect", NODE_IMAGE))[0] == 0, f"the image {NODE_IMAGE}")
    packages = Path(pydantic.__file__).parents[1]
    repo = Path(__file__).parents[2]
    mounts = [
        "-v",
        f"{repo}:/repo:ro",
        "-v",
        f"{packages}:/packages:ro",
        "-v",
        "/var/run/docker.sock:/var/run/docker.sock",
    ]
    paths = ["-e", "PYTHONPATH=/repo:/packages", "-e", "PYTHONDONTWRITEBYTECODE=1"]
    code, said = await docker(
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        *mounts,
        *paths,
        *options,
        NODE_IMAGE,
        "python3",
        "-",
        stdin=_NODE.encode(),
    )
    assert code == 0, said
    return json.loads(said.strip().splitlines()[-1])


async def test_a_node_in_a_container_with_a_volume(runtime: Runtime) -> None:
    """A node whose data lies in a named volume needs no setting: paths are translated by its own mounts."""
    await runtime.probe()
    volume = f"sisyphus-test-{secrets.token_hex(4)}"
    try:
        report = await node_in_container("-v", f"{volume}:/data")
    finally:
        await docker("volume", "rm", "-f", volume)
    assert report == {"code": 0, "copy": "seen by the sibling", "said": ""}


async def test_a_node_in_a_container_with_a_host_directory(runtime: Runtime, tmp_path: Path) -> None:
    """The same with a directory of the host at another path."""
    await runtime.probe()
    report = await node_in_container("-v", f"{tmp_path}:/data")
    assert report == {"code": 0, "copy": "seen by the sibling", "said": ""}


async def test_a_node_in_a_container_with_a_given_directory(runtime: Runtime, tmp_path: Path) -> None:
    """`docker_host_dir` says where the task root lies for the daemon."""
    await runtime.probe()
    (tmp_path / "work").mkdir()
    options = ["-v", f"{tmp_path}/work:/data/work", "-e", f"SISYPHUS_DOCKER_HOST_DIR={tmp_path}/work"]
    report = await node_in_container(*options)
    assert report == {"code": 0, "copy": "seen by the sibling", "said": ""}


async def test_a_hidden_data_directory_is_a_loud_error(runtime: Runtime) -> None:
    """A node whose data the daemon cannot see is refused at its probe, and told what to do."""
    await runtime.probe()
    report = await node_in_container()
    assert report["error"] == "RuntimeUnavailableError"
    assert "SISYPHUS_DOCKER_HOST_DIR" in report["message"]


async def test_a_wrong_host_directory_is_a_loud_error(runtime: Runtime, tmp_path: Path) -> None:
    """A directory that exists for the daemon, but is another one, is noticed by a canary."""
    await runtime.probe()
    (tmp_path / "elsewhere").mkdir()
    settings = Settings(data=tmp_path / "data", docker_host_dir=str(tmp_path / "elsewhere"))
    wrong = open_runtime("docker://", settings)
    with pytest.raises(RuntimeUnavailableError, match="do not see the files"):
        await wrong.probe()
    await wrong.close()


@pytest.mark.parametrize("url", ["docker:///no/such/docker.sock", "docker://127.0.0.1:1"])
async def test_an_engine_that_does_not_answer(url: str, tmp_path: Path) -> None:
    """No engine: the probe says what to install or set."""
    runtime = open_runtime(url, Settings(data=tmp_path))
    for _ in range(2):
        with pytest.raises(RuntimeUnavailableError, match=r"apt-get install docker\.io"):
            await runtime.probe()
    await runtime.close()
