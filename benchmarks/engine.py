"""Task overhead and throughput, beside the bare container start of the same run: ``python -m benchmarks.engine``.

A no-op task is measured from `submit` to its terminal state as a follower sees it. The floor is the same container
without us: a bare ``bwrap … true``, and for Docker the SDK's create + start + wait + logs + remove.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.cluster import Cluster, open_cluster
from infra.settings import load_settings
from schemas.legacy import parse_task
from schemas.state import TaskState

IMAGE = "alpine:3"
NOOP = {"image": IMAGE, "command": ["true"], "resources": {}}


@asynccontextmanager
async def system(runtime: str, nodes: int, slots: int) -> AsyncGenerator[Cluster]:
    """An embedded system with nodes as processes."""
    data = Path(tempfile.mkdtemp(prefix="sisyphus-bench-"))
    env = {**os.environ, "SISYPHUS_DATA": str(data), "SISYPHUS_RUNTIME": runtime, "SISYPHUS_SLOTS": str(slots)}
    command = [sys.executable, "-m", "infra.cli", "worker"]
    processes = [
        subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(nodes)
    ]
    try:
        async with open_cluster(load_settings(data=data, runtime=runtime)) as cluster:
            while len(await cluster.store.nodes()) < nodes:
                await asyncio.sleep(0.05)
            yield cluster
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()
        shutil.rmtree(data, ignore_errors=True)


async def one(cluster: Cluster) -> float:
    """Milliseconds from submit to complete."""
    begin = time.perf_counter()
    record = await cluster.wait((await cluster.submit(parse_task(NOOP))).record.id)
    if record.state is not TaskState.COMPLETE:
        raise RuntimeError(f"{record.id}: {record.failure}")
    return (time.perf_counter() - begin) * 1000


async def burst(cluster: Cluster, count: int) -> float:
    """Tasks per second, from the first submit to the last completion."""
    begin = time.perf_counter()
    ids = [(await cluster.submit(parse_task(NOOP))).record.id for _ in range(count)]
    records = [await cluster.wait(task_id) for task_id in ids]
    if any(r.state is not TaskState.COMPLETE for r in records):
        raise RuntimeError("a task of the burst did not complete")
    return count / (time.perf_counter() - begin)


def bare_bwrap() -> None:
    """A bare sandbox that does nothing."""
    subprocess.run(["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"], check=True)


def bare_docker(client: Any) -> None:
    """The SDK's own sequence for one container like ours."""
    container = client.containers.create(
        IMAGE, ["true"], network_mode="none", read_only=True, cap_drop=["ALL"], pids_limit=256, mem_limit="512m"
    )
    container.start()
    container.wait()
    container.logs()
    container.remove()


def timed(call: Callable[[], None]) -> float:
    """Milliseconds of one call."""
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


def p50(values: list[float]) -> float:
    """The median, in the unit of the values."""
    return round(statistics.median(values), 1)


async def bubblewrap() -> dict[str, Any]:
    """No-op tasks on bubblewrap: latency with one node at rest, throughput with two nodes."""
    async with system("bwrap://", nodes=1, slots=2) as cluster:
        for _ in range(5):
            await one(cluster)
        ours, bare = [], []
        for _ in range(40):  # in turn, so that both see the same machine
            ours.append(await one(cluster))
            bare.append(await asyncio.to_thread(timed, bare_bwrap))
    async with system("bwrap://", nodes=2, slots=2) as cluster:
        await burst(cluster, 10)
        rate = await burst(cluster, 200)
    return {
        "accepted_to_complete_p50_ms": p50(ours),
        "accepted_to_complete_p90_ms": round(statistics.quantiles(ours, n=10)[-1], 1),
        "floor_bare_bwrap_p50_ms": p50(bare),
        "burst_200_two_nodes_tasks_per_s": round(rate, 1),
    }


async def docker() -> dict[str, Any]:
    """No-op tasks on Docker, in turn with the bare SDK; a burst of 60 beside the bare rate with four threads."""
    import importlib

    client = importlib.import_module("docker").from_env()
    ours: list[float] = []
    bare: list[float] = []
    async with system("docker://", nodes=1, slots=4) as cluster:
        for _ in range(3):
            await one(cluster)
            await asyncio.to_thread(bare_docker, client)
        for _ in range(30):
            ours.append(await one(cluster))
            bare.append(await asyncio.to_thread(timed, lambda: bare_docker(client)))
        rates: list[float] = []
        floors: list[float] = []
        for _ in range(2):
            rates.append(await burst(cluster, 60))
            floors.append(await asyncio.to_thread(bare_burst, client, 60))
    return {
        "accepted_to_complete_p50_ms": p50(ours),
        "floor_bare_sdk_p50_ms": p50(bare),
        "overhead_percent": round(100 * (statistics.median(ours) / statistics.median(bare) - 1), 1),
        "burst_60_tasks_per_s": round(max(rates), 2),
        "floor_bare_sdk_4_threads_per_s": round(max(floors), 2),
        "burst_ratio": round(max(rates) / max(floors), 2),
        "peer_funnel": {"overhead_percent": 27, "burst_ratio": 0.76},
    }


def bare_burst(client: Any, count: int) -> float:
    """Containers per second of the bare SDK with four threads."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bare_docker(client), range(count)))
    return count / (time.perf_counter() - begin)


def measure() -> dict[str, Any]:
    """Both runtimes, as far as they can run here."""
    figures: dict[str, Any] = {"bubblewrap": asyncio.run(bubblewrap())}
    if (
        shutil.which("docker")
        and subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
    ):
        figures["docker"] = asyncio.run(docker())
    return figures


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
