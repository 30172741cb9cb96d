"""What the system costs at rest: ``python -m benchmarks.rest``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REST_S = 20.0


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += tree(int(child))
    return found


def at_rest(command: list[str], settle_s: float, **env: str) -> dict[str, Any]:
    """Memory and processor share of a process and its children, once it has settled."""
    data = tempfile.mkdtemp(prefix="sisyphus-rest-")
    process = subprocess.Popen(
        command, env={**os.environ, "SISYPHUS_DATA": data, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(settle_s)
        pids = tree(process.pid)
        before = sum(map(cpu_s, pids))
        time.sleep(REST_S)
        return {
            "rss_mb": round(rss_mb(process.pid), 1),
            "rss_with_children_mb": round(sum(map(rss_mb, pids)), 1),
            "core_percent": round(100 * (sum(map(cpu_s, pids)) - before) / REST_S, 2),
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(data, ignore_errors=True)


def measure() -> dict[str, Any]:
    """All of it; the floor of a process is a bare interpreter's memory."""
    run = [sys.executable, "-m", "infra.cli"]
    bare = subprocess.run(
        [sys.executable, "-c", "print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "floor_bare_python_rss_mb": round(int(bare.stdout) / 1024, 1),
        "worker_bubblewrap": at_rest([*run, "worker"], 5, SISYPHUS_RUNTIME="bwrap://"),
        "voice_server": at_rest([*run, "voice", "serve"], 30, SISYPHUS_PORT="18080"),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
