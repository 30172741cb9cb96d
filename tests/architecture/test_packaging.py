"""The wheel: what a user installs holds everything that runs and nothing else, and the command finds it."""

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from infra.cli import COMMANDS
from infra.door import DOORS
from tests.conftest import need

ROOT = Path(__file__).parents[2]
PACKAGES = ["infra", "orchestrator", "schemas", "voice", "worker"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel that was built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_our_names_are_ours_alone():
    """No other installed distribution brings a package called like one of our five."""
    owners = packages_distributions()
    strangers = {name: set(owners.get(name, ())) - {"sisyphus-cluster"} for name in PACKAGES}
    assert not any(strangers.values()), strangers


def test_the_wheel_holds_what_runs_and_nothing_else(wheel):
    """Five packages, templates and page; no tests, images, page sources or Node packages."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    shipped = {path.name for path in (ROOT / "templates").iterdir()}
    assert {Path(name).name for name in names if name.startswith("infra/catalog/")} == shipped
    python = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert {name for name in python if "node_modules" not in name and "infra/images" not in name} <= set(names)
    for unwanted in ("/tests/", "node_modules", "voice/web/src", "infra/images", "infra/deploy", "__pycache__", ".ts"):
        assert not [name for name in names if unwanted in name]
    if (ROOT / "voice/web/dist").is_dir():
        assert "voice/web/dist/index.html" in names
        assert any(name.startswith("voice/web/dist/assets/") for name in names)


def test_the_wheel_runs_by_itself(wheel, tmp_path):
    """Unpacked anywhere, the command works and finds the templates that came with it."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = (
        "import sys, infra.cli, infra.template_catalog as t;"
        "print(infra.cli.__file__); print(t.shipped_folder()); sys.exit(infra.cli.run(['templates', '--json']))"
    )
    environment = {
        "PYTHONPATH": str(tmp_path / "site"),
        "PATH": "/usr/bin:/bin",
        "SISYPHUS_DATA": str(tmp_path / "data"),
    }
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}/site/infra/cli.py\n{tmp_path}/site/infra/catalog\n")
    assert "count-words" in done.stdout


@pytest.mark.parametrize(
    ("group", "table"),
    [
        ("sisyphus.commands", {name: entry.target for name, entry in COMMANDS.items()}),
        ("sisyphus.doors", {name: target for name, (target, _) in DOORS.items()}),
    ],
)
def test_tables_mirror_the_entry_points(group, table):
    """The tables that are read instead of package metadata say the same, and every target exists."""
    assert PROJECT["project"]["entry-points"][group] == table
    for target in table.values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name)), target


def test_named_extras_exist():
    """Whatever a message tells people to install can be installed."""
    extras = {entry.extra for entry in COMMANDS.values()} | {extra for _, extra in DOORS.values()}
    assert extras - {""} <= set(PROJECT["project"]["optional-dependencies"])


def test_locks_cover_what_is_required():
    """Every package that pyproject.toml requires is pinned with hashes: in the lock of set-up, or that of training."""
    project, groups = PROJECT["project"], dict(PROJECT["dependency-groups"])
    training = groups.pop("train")
    required = list(project["dependencies"])
    for group in [*project["optional-dependencies"].values(), *groups.values()]:
        required += group
    for name, wanted in {"dev": required, "train": training}.items():
        lock = (ROOT / "requirements" / f"{name}.lock").read_text()
        pinned = {line.split("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))}
        assert {re.split(r"[^A-Za-z0-9-]", entry)[0] for entry in wanted} - {"sisyphus-cluster"} <= pinned
        assert lock.count("==") <= lock.count("--hash=sha256:")


@pytest.mark.parametrize("module", ["sqlalchemy.sql.compiler", "pydantic.main", "rich.console", "infra.cluster"])
def test_set_up_compiles_what_commands_load(module):
    """After set-up the bytecode lies beside its source, so that no start, not even the first, compiles anything."""
    need((Path(sys.prefix) / "stamps" / "bytecode").exists(), "an environment made by scripts/run or scripts/test")
    source = importlib.util.find_spec(module).origin
    assert Path(importlib.util.cache_from_source(source)).exists()


def test_templates_need_no_package_that_compares_words() -> None:
    """A door without the voice renders templates: what the voice alone brings must not be loaded for that."""
    loaded = "import sys, schemas.template, infra.template_catalog; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {"num2words", "rapidfuzz", "metaphone", "numpy", "pipecat"} & {
        n.partition(".")[0] for n in names.split()
    }
