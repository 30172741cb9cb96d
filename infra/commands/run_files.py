"""What a running system leaves in its data directory: the lock that keeps a second one out, and where to find it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import ConfigurationError


@contextmanager
def sole_system(data: Path) -> Generator[None]:
    """Hold the data directory. The lock dies with its process, so a crash leaves nothing to clean up.

    Raises:
        ConfigurationError: another `sisyphus up` holds it; the message names its pid.
    """
    run = data / "run"
    run.mkdir(parents=True, exist_ok=True)
    with (run / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            raise ConfigurationError(
                f"a system is already running on {data} (process {pid}); stop it with Ctrl-C or `kill {pid}`, "
                "or give this one its own --data"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            (run / "up.json").unlink(missing_ok=True)
            lock.truncate(0)


def running_system(data: Path) -> dict[str, str] | None:
    """Pid and URL of the system that holds `data`, or None. Looks at the lock: a crash may leave the file behind."""
    run = data / "run"
    try:
        with (run / "up.lock").open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found: dict[str, str] = json.loads((run / "up.json").read_text())
                return found
    except (OSError, ValueError):
        pass
    return None


def announce(data: Path, url: str) -> None:
    """Write ``run/up.json``, atomically, for other commands and for scripts."""
    part = data / "run" / ".up.json.part"
    part.write_text(json.dumps({"pid": os.getpid(), "url": url}) + "\n")
    part.replace(data / "run" / "up.json")
