"""What our runtimes add to the bare tools, as JSON: ``python benchmarks/runtimes.py [--rounds 30] [--burst 60]``.

Bare and ours take turns in one run, so that both meet the same moments of the machine. Times are milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from infra.errors import SisyphusError
from infra.registry import resolve
from infra.runtime import RUNTIMES, ContainerSpec, Runtime
from infra.settings import Settings

IMAGE = "alpine:3"
#: Threads of the bare side and concurrent containers of ours: two per core of the machine the goal was set on.
PARALLEL = 4


async def ours(runtime: Runtime) -> None:
    """One no-op container through the port: started, read to its end, waited for, removed."""
    container = await runtime.start(ContainerSpec(IMAGE, ["true"]))
    async for _ in container.output():
        pass
    status = await container.wait()
    await container.remove()
    assert status.is_success


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds of one round."""
    begin = time.perf_counter()
    await work()
    return (time.perf_counter() - begin) * 1000


def summary(bare: list[float], own: list[float]) -> dict[str, float]:
    """Medians, and ours relative to bare."""
    floor, mine = statistics.median(bare), statistics.median(own)
    p90 = statistics.quantiles(own, n=10)[-1] if len(own) > 1 else mine
    return {
        "bare_p50_ms": round(floor, 1),
        "ours_p50_ms": round(mine, 1),
        "ours_p90_ms": round(p90, 1),
        "over_bare_percent": round((mine / floor - 1) * 100, 1),
    }


def opened(url: str, data: str) -> Runtime:
    """A runtime of the registry with room for the burst."""
    return resolve(RUNTIMES, url, "runtime")(url, Settings(data=Path(data), slots=PARALLEL))


def bare_bubblewrap() -> list[str]:
    """The shortest command that runs `true` in namespaces of its own."""
    argv = ["bwrap", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for name in ("bin", "sbin", "lib", "lib64"):
        path = Path("/", name)
        argv += ["--symlink", str(path.readlink()), str(path)] if path.is_symlink() else []
    return [*argv, "--unshare-all", "--die-with-parent", "--new-session", "true"]


async def bubblewrap(rounds: int, data: str) -> dict[str, Any]:
    """Ours beside a minimal `bwrap true` with the same namespaces."""
    runtime = opened("bwrap://", data)
    await runtime.probe()
    bare_argv = bare_bubblewrap()

    async def bare() -> None:
        subprocess.run(bare_argv, check=True, capture_output=True)

    floor, mine = [], []
    for _ in range(rounds):
        floor.append(await timed(bare))
        mine.append(await timed(lambda: ours(runtime)))
    begin = time.perf_counter()
    await bounded(rounds, lambda: ours(runtime))
    rate = rounds / (time.perf_counter() - begin)
    await runtime.close()
    return {**summary(floor, mine), "ours_per_s_with_4": round(rate, 1)}


async def bounded(count: int, work: Callable[[], Awaitable[None]]) -> None:
    """Run so many rounds, `PARALLEL` at a time."""
    todo = iter(range(count))

    async def take() -> None:
        for _ in todo:
            await work()

    await asyncio.gather(*(take() for _ in range(PARALLEL)))


def bare_docker(host_config: dict[str, Any]) -> None:
    """The SDK's own create, start, wait, logs, remove of the same container."""
    client = _docker_client()
    created = client.create_container_from_config(
        {
            "Image": IMAGE,
            "Cmd": ["true"],
            "User": f"{os.getuid()}:{os.getgid()}",
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": host_config,
        }
    )
    client.start(created["Id"])
    client.wait(created["Id"])
    client.logs(created["Id"])
    client.remove_container(created["Id"])


_CLIENTS: list[Any] = []


def _docker_client() -> Any:
    if not _CLIENTS:
        import docker

        _CLIENTS.append(docker.APIClient(version="auto"))
    return _CLIENTS[0]


def same_limits() -> dict[str, Any]:
    """The limits that ours sets, so that both sides ask the engine for the same container."""
    from infra.runtimes.docker_options import EngineFacts, create_body

    config = create_body(ContainerSpec(IMAGE, ["true"]), EngineFacts(cpus=os.cpu_count() or 1), str)["HostConfig"]
    config.pop("LogConfig")  # the bare side reads its output by `logs`, which needs the default driver
    return config


async def docker_engine(rounds: int, burst: int, data: str) -> dict[str, Any]:
    """Ours beside the bare SDK: one after another, then a burst."""
    runtime = opened("docker://", data)
    await runtime.probe()
    config = same_limits()

    async def bare() -> None:
        await asyncio.to_thread(bare_docker, config)

    floor, mine = [], []
    for _ in range(rounds):
        floor.append(await timed(bare))
        mine.append(await timed(lambda: ours(runtime)))
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(2):
        begin = time.perf_counter()
        with ThreadPoolExecutor(PARALLEL) as pool:
            await asyncio.to_thread(lambda: list(pool.map(lambda _: bare_docker(config), range(burst))))
        rates["bare"].append(burst / (time.perf_counter() - begin))
        begin = time.perf_counter()
        await bounded(burst, lambda: ours(runtime))
        rates["ours"].append(burst / (time.perf_counter() - begin))
    await runtime.close()
    bare_rate, our_rate = (statistics.mean(rates[side]) for side in ("bare", "ours"))
    return {
        **summary(floor, mine),
        "burst": burst,
        "bare_burst_per_s_with_4_threads": round(bare_rate, 2),
        "ours_burst_per_s_with_4": round(our_rate, 2),
        "burst_ratio": round(our_rate / bare_rate, 2),
    }


async def main() -> None:
    """Measure what this machine can run, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--burst", type=int, default=60)
    parser.add_argument("--only", choices=["bubblewrap", "docker"])
    given = parser.parse_args()
    result: dict[str, Any] = {"cpus": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as data:
        for name, measure in (
            ("bubblewrap", lambda: bubblewrap(given.rounds, data)),
            ("docker", lambda: docker_engine(given.rounds, given.burst, data)),
        ):
            if given.only not in {None, name}:
                continue
            try:
                result[name] = await measure()
            except SisyphusError as error:
                result[name] = {"unavailable": str(error)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
