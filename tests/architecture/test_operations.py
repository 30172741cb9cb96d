"""The operator's page says what the code does: every setting, every line that a log may warn with, every port."""

import ast
import re
import runpy
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def warnings_of_the_product():
    """The names of all events that are logged as a warning or worse."""
    found = set()
    for package in ("voice", "worker", "orchestrator", "infra"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in {"warning", "error", "exception"}
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id in {"log", "_log"}
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                ):
                    found.add(node.args[0].value)
    return found


def test_settings_are_those_of_the_code():
    """The table is what scripts/export_settings.py would write now, and no line of it lacks its meaning."""
    table = runpy.run_path(str(ROOT / "scripts" / "export_settings.py"))["table"]()
    assert table in PAGE, "run: make schema"
    assert not [line for line in table.splitlines() if line.endswith("|  |")]


def test_every_warning_is_explained():
    """Whatever a log warns of at night stands in the tables, and nothing else does."""
    tables = PAGE.partition("## At 3 a.m.")[2].partition("### Dead letters")[0]
    explained = {
        name
        for line in tables.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert explained == warnings_of_the_product()


def test_every_port_and_service_is_named():
    """The services of docker-compose.yml, and the variable and default of each port, are those on the page."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name, service in compose["services"].items():
        assert f"| `{name}` |" in PAGE
        for port in service.get("ports", ()):
            host, variable, default = re.fullmatch(r"([\d.]+):\$\{(\w+):-(\d+)\}:\d+", port).groups()
            assert f"{host}:{default} (`{variable}`)" in PAGE
