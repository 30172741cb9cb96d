"""The shipped templates, and how a broken or overriding file is treated."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import yaml

from infra.template_catalog import load_catalog, shipped_folder
from schemas.failure import DocumentError
from schemas.legacy import parse_json, parse_task
from schemas.match import MatchKind
from schemas.template import ParameterType, Template
from schemas.utterance import Matcher

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data"
REMOTES = sorted(f"sisyphus:{path.relative_to(DATA)}" for path in DATA.rglob("*") if path.is_file())
CATALOG = load_catalog()
MATCHER = Matcher(CATALOG, REMOTES)
#: Values to fill patterns with: spoken, and as they must come out.
FILLERS = {
    ParameterType.OBJECT: [
        ("the garden journal", "sisyphus:notes/garden-journal.txt"),
        ("the error log", "sisyphus:logs/error-log.txt"),
    ],
    ParameterType.FOLDER: [("recipes", "sisyphus:recipes/")],
    ParameterType.TEXT: [("golden cheese", "golden cheese")],
    ParameterType.INTEGER: [("seven", "7")],
}
PATTERNS = [(template, pattern) for template in CATALOG for pattern in template.patterns]


def filled(template: Template, pattern: str) -> tuple[str, dict[str, str]]:
    """A pattern with values in its slots, and what must be understood."""
    left = {kind: list(values) for kind, values in FILLERS.items()}
    slots: dict[str, str] = {}
    for name, parameter in template.parameters.items():
        if f"{{{name}}}" in pattern:
            spoken, value = left[parameter.type].pop(0)
            pattern = pattern.replace(f"{{{name}}}", spoken)
            slots[name] = value
    return pattern, slots


def test_there_are_enough_templates() -> None:
    """At least eight useful ones are shipped, one with four commands and checkpoints."""
    assert len(CATALOG) >= 8
    pipeline = CATALOG.get("report-pipeline").task
    assert pipeline["checkpoint"] is True
    assert len(cast("list[object]", pipeline["commands"])) == 4


@pytest.mark.parametrize("template", list(CATALOG), ids=lambda t: t.name)
def test_shipped_template_renders_for_its_example(template: Template) -> None:
    """Its own example is understood, and gives a task document that parses."""
    match = MATCHER.match(template.example)
    assert match.kind is MatchKind.ACCEPT
    assert match.best is not None
    assert match.best.intent == template.name
    task = parse_task(template.render(match.best.slots, "task-1"))
    assert task.tags["template"] == template.name
    assert all(str(output.remote).startswith("sisyphus:results/task-1/") for output in task.outputs)
    assert "{" not in template.say("started", match.best.spoken)


@pytest.mark.parametrize("template", list(CATALOG), ids=lambda t: t.name)
def test_shipped_template_reports_milestones(template: Template) -> None:
    """Every template says how far it is."""
    assert "::progress value=" in yaml.safe_dump(template.task)


@pytest.mark.parametrize(("template", "pattern"), PATTERNS, ids=[f"{t.name}: {p}" for t, p in PATTERNS])
def test_pattern_is_understood_as_itself_and_nothing_else(template: Template, pattern: str) -> None:
    """No pattern of one template is a request for another, or for other values."""
    text, slots = filled(template, pattern)
    match = MATCHER.match(text)
    assert match.kind is MatchKind.ACCEPT, match
    assert match.best is not None
    assert (match.best.intent, match.best.slots) == (template.name, slots)


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "tasks").glob("*.json")), ids=lambda p: p.name)
def test_example_document_is_accepted(path: Path) -> None:
    """Every example document parses, those in the original's forms too, and its inputs exist in the example data."""
    task = parse_json(path.read_bytes())
    for item in task.inputs:
        assert (DATA / item.remote.key).exists()


def test_template_is_found_by_name_and_title() -> None:
    """``sisyphus run`` takes the name or the title, and lists the names when there is none."""
    assert CATALOG.get("count-words") is CATALOG.get("Count words")
    with pytest.raises(DocumentError, match="count-words"):
        CATALOG.get("count-sheep")


def test_later_folder_replaces_a_template_of_the_same_name(tmp_path: Path) -> None:
    """An operator can replace a shipped template and add one."""
    text = (shipped_folder() / "compress.yaml").read_text()
    (tmp_path / "compress.yaml").write_text(text.replace("sentence: Compress a file.", "sentence: Ours."))
    (tmp_path / "more.yml").write_text(text.replace("name: compress", "name: squash", 1))
    catalog = load_catalog(tmp_path)
    assert catalog.get("compress").sentence == "Ours."
    assert len(catalog) == len(CATALOG) + 1


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("name: [", "yaml", "bad.yaml"),
        ("name: a\nname: b\n", "yaml", "bad.yaml"),
        ("- just a list", "model_type", "bad.yaml"),
        ("name: x", "missing", "bad.yaml: title"),
        ("", "model_type", "bad.yaml"),
    ],
)
def test_broken_file_is_reported_by_name(tmp_path: Path, text: str, code: str, field: str) -> None:
    """A file that is no template says which file, which field, and why."""
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_catalog(tmp_path)
    assert (code, field) in {(p.code, p.field.rstrip(": ")) for p in caught.value.problems}


def test_two_files_with_one_name_and_missing_folders_are_errors(tmp_path: Path) -> None:
    """Nothing is silently ignored: every problem of every file is reported together."""
    text = (shipped_folder() / "compress.yaml").read_text()
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_catalog(tmp_path, tmp_path / "nowhere")
    assert {p.code for p in caught.value.problems} == {"template_twice", "folder_missing"}
