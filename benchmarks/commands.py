"""How quickly the command line answers: ``python -m benchmarks.commands``. Wall milliseconds, p50 of whole processes.

Beside each figure stands the bare interpreter, started in turn with it, so that a busy machine slows both. The data
directory is a new one that holds an object and some tasks, without a running system and with one.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from infra.cli import COMMANDS

RUNS = 9
SISYPHUS = str(Path(sys.executable).with_name("sisyphus"))
TASK = {"name": "nothing", "image": "alpine:3", "commands": [{"command": ["true"]}]}


def wall_ms(command: list[str], env: dict[str, str]) -> float:
    """One run of a whole process."""
    begin = time.perf_counter()
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - begin) * 1000


def beside_the_floor(command: list[str], env: dict[str, str]) -> dict[str, float]:
    """The command and the bare interpreter in turn."""
    pairs = [(wall_ms(command, env), wall_ms([sys.executable, "-c", "pass"], env)) for _ in range(RUNS)]
    own, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"p50_ms": round(own, 1), "floor_bare_python_ms": round(floor, 1)}


@contextmanager
def running(env: dict[str, str]) -> Generator[None]:
    """A system on the data directory, without speech."""
    start = [SISYPHUS, "up", "--port", "0", "--no-voice", "--nodes", "1"]
    process = subprocess.Popen(start, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (Path(env["SISYPHUS_DATA"]) / "run" / "up.json").exists():
            assert process.poll() is None, "sisyphus up ended; start it by hand to see why"
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def command_lines(env: dict[str, str], folder: Path, *, is_running: bool) -> dict[str, list[str]]:
    """Name -> arguments, on a directory that holds a task and an object."""
    document, text = folder / "task.json", folder / "text.txt"
    document.write_text(json.dumps(TASK))
    text.write_text("one two three\n" * 1000)
    submitted = subprocess.run(
        [SISYPHUS, "submit", str(document), "--json"], env=env, stdout=subprocess.PIPE, check=True
    )
    task = json.loads(submitted.stdout)["id"]
    lines = {
        "put FILE": ["put", str(text), "sisyphus:in/text.txt"],
        "get REMOTE": ["get", "sisyphus:in/text.txt", "-"],
        "ls": ["ls"],
        "status": ["status"],
        "status --json": ["status", "--json"],
        "status TASK": ["status", task],
        "logs TASK": ["logs", task],
        "templates": ["templates"],
        "submit FILE": ["submit", str(document)],
        "run TEMPLATE": ["run", "count-words", "source=sisyphus:in/text.txt"],
        "cancel TASK": ["cancel", task],
        "watch TASK (ended)": ["watch", task],
    }
    if is_running:
        lines["submit FILE --wait"] = ["submit", str(document), "--wait"]
    return lines


def on_a_directory(*, is_running: bool) -> dict[str, Any]:
    """Every command that asks or looks."""
    with tempfile.TemporaryDirectory(prefix="sisyphus-commands-") as name:
        folder = Path(name)
        env = {key: value for key, value in os.environ.items() if not key.startswith("SISYPHUS_")}
        env["SISYPHUS_DATA"] = str(folder / "data")
        with running(env) if is_running else nullcontext():
            lines = command_lines(env, folder, is_running=is_running)
            return {name: beside_the_floor([SISYPHUS, *line], env) for name, line in lines.items()}


def measure() -> dict[str, Any]:
    """Help of every command, then what each does without and with a running system."""
    env = dict(os.environ)
    helps = {"sisyphus": ["--help"], **{name: [name, "--help"] for name in COMMANDS}}
    return {
        "help": {name: beside_the_floor([SISYPHUS, *line], env) for name, line in helps.items()},
        "without_a_system": on_a_directory(is_running=False),
        "with_a_system": on_a_directory(is_running=True),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
