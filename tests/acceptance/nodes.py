"""Real nodes on one data directory, as processes that a test may kill, pause and drain."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.cluster import Cluster, open_cluster
from infra.settings import load_settings
from schemas.event import EventType
from schemas.lease import LeaseTerms
from schemas.legacy import parse_task
from schemas.record import TaskRecord

#: Short terms for tests that wait for a takeover; the relations between them are those of production. Tests that
#: do not, keep the production terms: on a busy machine a node may well stand still for seconds.
SHORT = LeaseTerms(ttl_s=6, fence_s=4, renew_s=0.5)


@dataclass
class Embedded:
    """A data directory, a cluster client on it, and the node processes started so far."""

    cluster: Cluster
    data: Path
    env: dict[str, str]
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    count: int = 0

    async def start(self, number: int = 1, **env: str) -> list[str]:
        """Start nodes and wait until they have taken up their heartbeat."""
        names = []
        for _ in range(number):
            self.count += 1
            name = f"n{self.count}"
            log = (self.data / f"{name}.log").open("wb")
            command = [sys.executable, "-m", "infra.cli", "worker", "--node", name]
            process = subprocess.Popen(command, env={**self.env, **env}, stdout=log, stderr=log, start_new_session=True)
            self.nodes[name] = process
            names.append(name)
        async with asyncio.timeout(60):
            while not set(names) <= {n.id for n in await self.cluster.store.nodes()}:
                for name in names:
                    assert self.nodes[name].poll() is None, self.log(name)
                await asyncio.sleep(0.05)
        return names

    def signal(self, name: str, number: signal.Signals) -> None:
        self.nodes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """kill -9, as the kernel or an operator would."""
        self.signal(name, signal.SIGKILL)
        self.nodes[name].wait()

    async def ended(self, name: str, timeout_s: float = 60) -> int:
        return await asyncio.to_thread(self.nodes[name].wait, timeout_s)

    def log(self, name: str) -> str:
        return (self.data / f"{name}.log").read_text(errors="replace")

    async def submit(self, **document: object) -> str:
        task = parse_task({"image": "alpine:3", **document})
        return (await self.cluster.submit(task)).record.id

    async def wait(self, task_id: str, timeout_s: float = 120) -> TaskRecord:
        async with asyncio.timeout(timeout_s):
            return await self.cluster.wait(task_id)

    async def until(
        self, task_id: str, seen: EventType, number: int = 1, timeout_s: float = 60, **data: object
    ) -> None:
        """Wait until the task's events hold `number` of the given kind with the given data."""
        count = 0
        async with asyncio.timeout(timeout_s):
            async for event in self.cluster.follow(task_id):
                count += event.type is seen and all(event.data.get(k) == v for k, v in data.items())
                if count >= number:
                    return
        raise AssertionError(f"{task_id} ended without {number} x {seen} {data}")


@asynccontextmanager
async def embedded(data: Path, runtime: str = "bwrap://", terms: LeaseTerms = SHORT, **env: str):
    """An embedded system below `data`; every process is gone afterwards."""
    full = {k: v for k, v in os.environ.items() if not k.startswith("SISYPHUS_")}
    full |= {"SISYPHUS_DATA": str(data), "SISYPHUS_RUNTIME": runtime, **env}
    full |= {f"SISYPHUS_LEASE__{key.upper()}": str(value) for key, value in terms.model_dump().items()}
    settings = load_settings(data=data, runtime=runtime, lease=terms)
    async with open_cluster(settings) as cluster:
        system = Embedded(cluster, data, full)
        try:
            yield system
        finally:
            for process in system.nodes.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGCONT)
                    process.terminate()
            for process in system.nodes.values():
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def shell(script: str, **more: object) -> dict[str, object]:
    """A command that runs a shell script."""
    return {"command": ["sh", "-c", script], **more}
