"""The node's side of its watchdog: start it, tell it of confirmed renewals, say goodbye."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from infra.log import get_logger
from infra.settings import Settings, child_environment
from worker import watchdog

log = get_logger(__name__)


class Watchdog:
    """One per node; `beat` after every renewal that the database confirmed, and while nothing runs."""

    def __init__(self, settings: Settings, node_id: str, boot_id: str, runtime_url: str) -> None:
        script = str(Path(watchdog.__file__).resolve())
        fence = [sys.executable, "-m", "worker.fence", node_id, boot_id]
        self._command = [sys.executable, "-I", "-S", script, str(os.getpid()), str(settings.lease.fence_s), *fence]
        self._env = child_environment(settings, SISYPHUS_RUNTIME=runtime_url, PYTHONPATH=str(Path(script).parents[1]))
        self._start()

    def _start(self) -> None:
        # A session of its own: Ctrl-C and a kill of the node's process group do not reach it.
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True, env=self._env)
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - stdin=PIPE
        self._pipe = pipe
        os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """The watchdog's process id."""
        return self._process.pid

    def beat(self) -> None:
        """No lease of this node can have run out just now. A watchdog that died is replaced."""
        if self._process.poll() is not None:
            log.error("watchdog_lost", exit_code=self._process.returncode, consequence="another one is started")
            self._pipe.close()
            self._start()
        with contextlib.suppress(OSError):
            os.write(self._pipe.fileno(), watchdog.BEAT)

    def goodbye(self) -> None:
        """The node ends in order: nothing is left to fence. Idempotent."""
        with contextlib.suppress(OSError, ValueError):
            os.write(self._pipe.fileno(), watchdog.GOODBYE)
            self._pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
