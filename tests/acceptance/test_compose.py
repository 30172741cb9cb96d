"""The cluster of docker-compose.yml: three workers, RabbitMQ, PostgreSQL, S3, the door and the voice server."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.compose_project import Compose, docker, running_cluster, tasks_containers, until
from tests.conftest import need

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

ALIVE_S = 15


@pytest.fixture(scope="module")
def cluster() -> Iterator[Compose]:
    """Three workers and everything they need, healthy."""
    answers = shutil.which("docker") and not subprocess.run(["docker", "compose", "ls"], capture_output=True).returncode
    need(answers, "a Docker engine with Compose")
    with running_cluster(workers=3) as compose:
        yield compose


@pytest.fixture(autouse=True)
def show_logs(request: pytest.FixtureRequest, cluster: Compose) -> Iterator[None]:
    """What the services said, when a test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(cluster.logs())


def nodes_alive(cluster: Compose) -> set[str]:
    return {n["id"] for n in cluster.get("/v1/nodes")["nodes"] if n["seen_s"] < ALIVE_S and not n["draining"]}


async def test_everything_is_healthy(cluster: Compose) -> None:
    """`docker compose up --scale worker=3` ends with every part healthy and three nodes in the store."""
    healthy = ["door", "postgres", "rabbitmq", "s3", "voice", "worker", "worker", "worker"]
    assert cluster.services() == [(service, "healthy") for service in healthy]
    await until(lambda: len(nodes_alive(cluster)) == 3)


async def test_a_foreign_producer_gets_its_task_run(cluster: Compose) -> None:
    """A document of the original's form, published to the original's exchange, runs in Docker and ends in S3."""
    s3, task_id = cluster.s3(), f"foreign-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket="sisyphus")
    s3.put_object(Bucket="sisyphus", Key="foreign/in.txt", Body=b"one must imagine sisyphus happy\n")
    script = "grep -q docker-init /proc/1/comm || test -e /.dockerenv || exit 9; wc -w < /in/text; sleep 2"
    await cluster.publish(
        {
            "id": task_id,
            "workflow": "foreign",
            "name": "count",
            "image": "alpine:3",
            "command": ["sh", "-c", f"({script}) > /out/count"],
            "inputs": {"sisyphus:foreign/in.txt": "/in/text"},
            "outputs": {"sisyphus:foreign/count.txt": "/out/count"},
        }
    )
    assert await until(lambda: tasks_containers(task_id))
    task = await cluster.ended(task_id)
    assert task["state"] == "complete", task
    assert s3.get_object(Bucket="sisyphus", Key="foreign/count.txt")["Body"].read().strip() == b"5"
    await until(lambda: not tasks_containers(task_id))


async def test_a_killed_workers_task_is_finished_by_another(cluster: Compose) -> None:
    """kill -9 inside a worker in mid-task: another node goes on at the first command that was not completed."""
    task_id = f"killed-{uuid.uuid4().hex[:8]}"
    first = ["sh", "-c", "cat /proc/sys/kernel/random/uuid > /out/first"]
    second = ["sh", "-c", "sleep 8; cat /out/first > /out/second"]
    await cluster.publish(
        {
            "id": task_id,
            "name": "survives",
            "image": "alpine:3",
            "commands": [{"title": "first", "command": first}, {"title": "second", "command": second}],
            "outputs": {"sisyphus:killed/first": "/out/first", "sisyphus:killed/second": "/out/second"},
            "checkpoint": True,
        }
    )

    def second_runs() -> str:
        task = cluster.task(task_id)
        running = [t for t in task.get("todos", []) if t["state"] == "in_progress" and "second" in t["title"]]
        return task["node"] if running else ""

    node = await until(second_runs)
    host = node.rpartition("-")[0]
    (container,) = [found for found in cluster.containers("worker") if found.startswith(host)]
    docker("exec", "--user", "0", container, "sh", "-c", "kill -9 -1", check=False)
    task = await cluster.ended(task_id, timeout_s=180)
    assert task["state"] == "complete", task
    assert task["node"] != node
    assert task["epoch"] == 2
    assert task["nodes_lost"] == 1
    s3 = cluster.s3()
    first_line, second_line = (
        s3.get_object(Bucket="sisyphus", Key=f"killed/{key}")["Body"].read() for key in ("first", "second")
    )
    assert first_line == second_line, "the first command was completed, and must not run again"
    await until(lambda: not tasks_containers(task_id))
    await until(lambda: cluster.services().count(("worker", "healthy")) == 3)


async def test_a_bad_message_is_set_aside_with_its_reason(cluster: Compose) -> None:
    """A message that is no task document does not stop the queue, and is kept where an operator finds it."""
    task_id = f"after-bad-{uuid.uuid4().hex[:8]}"
    await cluster.publish({"image": 7, "command": "not a list"})
    await cluster.publish({"id": task_id, "image": "alpine:3", "command": ["true"]})
    assert (await cluster.ended(task_id))["state"] == "complete"
    listed = ["rabbitmqctl", "-q", "list_queues", "name", "messages"]
    await until(lambda: "sisyphus-dead-letter\t1" in cluster("exec", "-T", "rabbitmq", *listed))


async def test_the_page_and_the_voice_are_served(cluster: Compose) -> None:
    """The voice server serves the page, and its speech models were put in place without any network."""
    page = httpx.get(f"http://{cluster.address('voice', 8080)}/", timeout=20)
    assert page.status_code == 200
    assert "<script" in page.text
    await until(lambda: cluster.get("/api/config", "voice", 8080)["voice"]["ready"], timeout_s=180)


async def test_workers_come_and_go(cluster: Compose) -> None:
    """Scaling up and down again: nodes join by themselves, leave by draining, and a running task is finished."""
    task_id = f"scaled-{uuid.uuid4().hex[:8]}"
    cluster.up(4, "--no-recreate")
    await until(lambda: len(nodes_alive(cluster)) == 4)
    await cluster.publish({"id": task_id, "image": "alpine:3", "command": ["sleep", "6"]})
    await until(lambda: cluster.task(task_id).get("state") == "running")
    cluster.up(1, "--no-recreate")
    await until(lambda: len(nodes_alive(cluster)) == 1)
    task = await cluster.ended(task_id)
    assert (task["state"], task["epoch"]) == ("complete", 1)


def test_images_are_lean_and_unprivileged(cluster: Compose) -> None:
    """No image of ours holds a compiler or runs its service as root; only the worker sees the Docker socket."""
    for service in ("worker", "door", "voice"):
        (container, *_) = cluster.containers(service)
        owners = docker("top", container, "-eo", "pid,uid,args").splitlines()[1:]
        assert {line.split()[1] for line in owners if "docker-init" not in line} == {"10001"}, owners
        found = docker(
            "exec", container, "sh", "-c", "command -v gcc cc make uv npm; ls /var/run/docker.sock", check=False
        )
        assert found.split() == (["/var/run/docker.sock"] if service == "worker" else [])


def test_two_clusters_on_one_machine_are_told_apart(cluster: Compose) -> None:
    """Each project's workers carry its name: a sweep must never take another cluster's containers for orphans."""
    (container, *_) = cluster.containers("worker")
    assert docker("exec", container, "printenv", "SISYPHUS_CLUSTER").strip() == cluster.name


def test_down_leaves_nothing(cluster: Compose) -> None:
    """`docker compose down -v` removes every container, network and volume of the cluster."""
    cluster("down", "-v")
    label = f"label=com.docker.compose.project={cluster.name}"
    assert docker("ps", "-aq", "--filter", label) == ""
    assert docker("volume", "ls", "-q", "--filter", label) == ""
    assert docker("network", "ls", "-q", "--filter", label) == ""
