"""A real S3 server for tests: versitygw in a container, which keeps objects on disk and checks signatures."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import need

_IMAGE = "versity/versitygw:latest"
KEY, SECRET = "conformance", "conformance-secret"


@pytest.fixture(scope="session")
def versitygw() -> Iterator[int]:
    """The port of the server on 127.0.0.1."""
    need(shutil.which("docker"), "a Docker engine for S3")
    images = subprocess.run(["docker", "images", "-q", _IMAGE], capture_output=True, text=True, check=False)
    need(images.stdout.strip(), f"the image {_IMAGE}")
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import PortWaitStrategy

    container = (
        DockerContainer(_IMAGE)
        .with_env("ROOT_ACCESS_KEY", KEY)
        .with_env("ROOT_SECRET_KEY", SECRET)
        .with_command("posix /data")
        .with_exposed_ports(7070)
        .waiting_for(PortWaitStrategy(7070).with_startup_timeout(60))
    )
    with container:
        yield int(container.get_exposed_port(7070))


@pytest.fixture
def s3_port(versitygw: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The port, with right credentials in the environment and none from elsewhere."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    return versitygw


def s3_url_at(port: int, *, place: str = "", create_buckets: bool = True) -> str:
    """The URL of the store; `place` is an optional ``bucket/prefix``."""
    flag = "&create_buckets=true" if create_buckets else ""
    return f"s3://{place}?endpoint=http://127.0.0.1:{port}&region=us-east-1&path_style=true{flag}"
