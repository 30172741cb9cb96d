"""The house: sizes, registries, packaging. What these find is a wall that should be moved."""

import ast
import importlib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from infra.broker import BROKERS
from infra.object_store import INPUT_STORES, OBJECT_STORES
from infra.runtime import RUNTIMES
from infra.state_store import STATE_STORES
from tests.conftest import need

ROOT = Path(__file__).parents[2]
PRODUCT = ["voice", "worker", "schemas", "orchestrator", "infra"]
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_CLASS_METHODS = 400, 60, 24


def tracked(*suffixes):
    need(shutil.which("git") and (ROOT / ".git").exists(), "a clone by git, which tells what belongs to the repository")
    # The work tree may belong to somebody else, as in a container that it is mounted into.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / n for n in names.stdout.splitlines() if n.endswith(suffixes)]
    return [f for f in files if f.exists()]


def product_files():
    return [f for f in tracked(".py") if f.relative_to(ROOT).parts[0] in PRODUCT]


def test_files_hold_one_idea():
    """No file of ours is longer than 400 lines."""
    long = {
        str(f.relative_to(ROOT)): n
        for f in tracked(".py", ".ts", ".sh")
        if (n := len(f.read_text().splitlines())) > MAX_FILE_LINES
    }
    assert not long


def test_functions_fit_on_a_screen():
    """No function of the product is longer than a screen, its docstring not counted."""
    long = {}
    for file in product_files():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                lines = (node.end_lineno or 0) - first.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long[f"{file.relative_to(ROOT)}:{node.name}"] = lines
    assert not long


def test_classes_stay_small():
    """No class of the product grows into one that owns everything."""
    large = {}
    for file in product_files():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
                if len(methods) > MAX_CLASS_METHODS:
                    large[f"{file.relative_to(ROOT)}:{node.name}"] = len(methods)
    assert not large


def test_every_module_says_what_it_owns():
    """Every module of the product begins with a docstring."""
    silent = [str(f.relative_to(ROOT)) for f in product_files() if not ast.get_docstring(ast.parse(f.read_text()))]
    assert not silent


@pytest.mark.parametrize("table", [BROKERS, INPUT_STORES, OBJECT_STORES, RUNTIMES, STATE_STORES])
def test_registered_adapters_exist(table):
    """Every registry line names a factory that can be imported, and an extra that pyproject has."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for target, extra in table.values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
        assert not extra or extra in extras


def test_no_init_in_tests():
    """A test folder named like a package of ours must not shadow it."""
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_nothing_committed_names_a_registry_host():
    """Lock files and scripts work with whatever registry the machine is configured for."""
    hosts = ["pypi" + ".org", "registry." + "npmjs", "files.python" + "hosted"]
    found = [
        str(f.relative_to(ROOT))
        for f in tracked("")
        if f.suffix not in {".png", ".onnx", ".wav"} and any(h in f.read_text(errors="replace") for h in hosts)
    ]
    assert not found
