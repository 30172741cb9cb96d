"""The page's own unit tests, which run in Node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import need

WEB = Path(__file__).parents[2] / "voice" / "web"


def test_the_pages_own_tests_pass() -> None:
    """Type checks and unit tests of the page: every one of them runs and passes."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    npm = shutil.which("npm", path=path)
    need(npm and (WEB / "node_modules").is_dir(), "the page's packages (npm ci in voice/web)")
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(["npm", "test"], cwd=WEB, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"pass (\d+)", done.stdout)
    assert passed
    assert int(passed.group(1)) > 0
