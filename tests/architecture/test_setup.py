"""The set-up script: what its steps hand to the programs that fetch packages."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import need

ROOT = Path(__file__).parents[2]
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def in_set_up(script: str, **environment: str) -> str:
    """What a shell prints that has sourced the set-up script and runs `script`, without certificates of its own."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")
    }
    done = subprocess.run(
        ["sh", "-c", f". scripts/setup.sh; {script}"],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


PRINT = "sh -c 'echo $NODE_EXTRA_CA_CERTS'"


@pytest.mark.parametrize(
    ("environment", "expected"), [({}, str(BUNDLE)), ({"NODE_EXTRA_CA_CERTS": "/mine.crt"}, "/mine.crt")]
)
def test_npm_trusts_the_certificates_of_the_machine(environment, expected):
    """Behind a proxy with an authority of its own the page's packages are fetched as the Python packages are."""
    need(BUNDLE.is_file(), "a certificate bundle where Debian keeps it")
    assert in_set_up(f"in_web {PRINT}", **environment) == expected


def test_the_certificates_stay_within_the_set_up():
    """The system that is started afterwards reads its own settings."""
    assert in_set_up(f"in_web true; {PRINT}") == ""


@pytest.mark.parametrize(
    ("complaint", "expected"),
    [
        ("Could not get lock /var/lib/apt/lists/lock", "update update update install"),
        ("Temporary failure resolving", "update"),
    ],
)
def test_the_updates_of_a_machine_that_was_just_booted_are_waited_for(complaint, expected, tmp_path):
    """Another apt at work is no failure; anything else is one at once."""
    apt = tmp_path / "apt-get"
    apt.write_text(
        f"""#!/bin/sh
for word; do case $word in update|install) echo $word >>{tmp_path}/asked; break ;; esac; done
[ "$word" = install ] || [ "$(wc -l <{tmp_path}/asked)" -ge 3 ] || {{ echo "E: {complaint}"; exit 100; }}
"""
    )
    apt.chmod(0o755)
    in_set_up("sleep() { :; }; apt_install file || true", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (tmp_path / "asked").read_text().split() == expected.split()


def test_what_a_test_asks_for_is_installed_with_the_tests():
    """Where packages can be installed, no test is skipped for want of a program other than Docker."""
    asked = {
        name for file in (ROOT / "tests").rglob("*.py") for name in re.findall(r'which\("([\w-]+)"', file.read_text())
    }
    installed = re.search(r"^for tool in (.*); do$", (ROOT / "scripts" / "test").read_text(), re.MULTILINE)
    assert installed
    by_set_up = {"bwrap", "npm"}
    assert asked - by_set_up - {"docker"} <= set(installed[1].split())
