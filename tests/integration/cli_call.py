"""Command lines run inside the test process: the same code as the console script, without its start-up each time."""

import io
import os
import sys
from dataclasses import dataclass

import pytest

from infra import cli


@dataclass
class Done:
    """How a command line ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


class CommandLine:
    """Runs `sisyphus` with settings of its own, so that a developer's variables do not matter."""

    def __init__(self, settings: dict[str, str], patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]):
        self._settings, self._patch, self._capture = settings, patch, capture

    def __call__(self, *arguments: str, stdin: bytes = b"", **more: str) -> Done:
        """Run one command line."""
        self._capture.readouterr()
        with self._patch.context() as patch:
            for name in [name for name in os.environ if name.startswith("SISYPHUS_")]:
                patch.delenv(name)
            for name, value in {"COLUMNS": "120", **self._settings, **more}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            # Loggers keep the stream they first saw, and this test's is gone after it.
            patch.setattr("infra.log.setup_logging", lambda *_: None)
            patch.setattr("infra.commands.system.setup_logging", lambda *_: None)
            code = cli.run(list(arguments))
        out, err = self._capture.readouterr()
        return Done(code, out, err)
