"""What the README and the pages in docs/ show is true: examples are accepted, commands exist, links lead somewhere.

Blocks marked ``json`` are task documents, ``yaml`` are templates, ``sh`` are command lines; other output is ``text``.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from infra import cli
from infra.settings import Settings
from infra.template_catalog import load_catalog, read_template
from schemas.legacy import parse_json, parse_task
from schemas.template import ParameterType, Template

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
#: A value for a parameter of each type, where a template gives no default.
_VALUES = {ParameterType.OBJECT: "sisyphus:a/{}.txt", ParameterType.FOLDER: "sisyphus:{}/", ParameterType.TEXT: "{}"}


def _blocks(*languages: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for page in PAGES:
        matches = [m for m in _BLOCK.finditer(page.read_text()) if m[1] in languages]
        found += [(f"{page.name} {n}", match[2]) for n, match in enumerate(matches, start=1)]
    return found


def _examples(*languages: str) -> list[object]:
    return [pytest.param(text, id=name) for name, text in _blocks(*languages)]


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _is_assignment(word: str) -> bool:
    return re.match(r"[A-Za-z_]+=", word) is not None


def _calls_in(text: str) -> list[list[str]]:
    """The arguments of every ``sisyphus`` in shell text, also in ``$(…)`` and behind ``docker compose exec SERVICE``."""
    calls: list[list[str]] = []
    text = re.sub(r"\\\n\s*", " ", text)
    for line in text.splitlines():
        # The opening of a substitution, quoted or not, is a separator for our purpose.
        words = _words(line.replace("$(", " ; ").replace(")", " ; ") if "$(sisyphus" in line else line)
        while words:
            rest = next((n for n, word in enumerate(words) if set(word) <= set("|&;<>()") and word), len(words))
            command, words = words[:rest], words[rest + 1 :]
            command = list(dropwhile(_is_assignment, command))
            if command[:3] == ["docker", "compose", "exec"]:
                _service, *command = dropwhile(lambda word: word.startswith("-"), command[3:])
            if command and command[0] in {"sisyphus", ".venv/bin/sisyphus"}:
                calls.append(command[1:])
    return calls


def _shown_calls() -> list[object]:
    calls: list[object] = []
    for page in PAGES:
        text = page.read_text()
        shell = [m[2] for m in _BLOCK.finditer(text) if m[1] == "sh"]
        prose = _BLOCK.sub("", text)
        inline = [code for code in _INLINE.findall(prose) if re.match(r"(\S+=\S+ )*(\.venv/bin/)?sisyphus( |$)", code)]
        for part in [*shell, *inline]:
            calls += [pytest.param(call, id=f"{page.name}: {' '.join(call)[:60]}") for call in _calls_in(part)]
    return calls


@cache
def _command(name: str) -> Any:
    return typer.main.get_command(cli.load(name))


def test_the_pages_hold_examples():
    """Nothing below is empty because a page was renamed or a mark was changed."""
    assert len(_blocks("json")) >= 4
    assert len(_blocks("yaml")) >= 2
    assert len(_shown_calls()) >= 40


@pytest.mark.parametrize("text", _examples("json"))
def test_a_shown_document_is_accepted(text):
    """Every JSON example is a task document that the system takes."""
    task = parse_json(text)
    assert task.commands


def test_the_first_document_is_an_example_that_can_be_run():
    """The README's document is examples/tasks/count-words.json, and its input is among the example data."""
    shown = parse_json(_blocks("json")[0][1])
    kept = parse_json((ROOT / "examples/tasks/count-words.json").read_bytes())
    assert shown.model_copy(update={"workflow": kept.workflow}) == kept
    assert all((ROOT / "examples/data" / item.remote.key).is_file() for item in shown.inputs)


def _yaml(*, of_compose: bool) -> list[object]:
    found = [(name, text) for name, text in _blocks("yaml") if ("services" in yaml.safe_load(text)) is of_compose]
    return [pytest.param(text, id=name) for name, text in found]


@pytest.mark.parametrize("text", _yaml(of_compose=True))
def test_a_shown_compose_file_fits(text):
    """What it extends is in docker-compose.yml, and what it sets is a setting."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service in yaml.safe_load(text)["services"].values():
        assert service["extends"]["service"] in services
        for name in service["environment"]:
            assert name.removeprefix("SISYPHUS_").lower() in Settings.model_fields


@pytest.mark.parametrize("text", _yaml(of_compose=False))
def test_a_shown_template_works(text, tmp_path):
    """Every example of a template loads beside the shipped ones and renders to a document that the system takes."""
    name = yaml.safe_load(text)["name"]
    (tmp_path / f"{name}.yaml").write_text(text)
    template = read_template(tmp_path / f"{name}.yaml")
    assert load_catalog(tmp_path).get(name) == template
    assert parse_task(template.render(_some_values(template), "task-1")).id == "task-1"


def _some_values(template: Template) -> dict[str, object]:
    return {name: _VALUES[p.type].format(name) for name, p in template.parameters.items() if p.is_required}


@pytest.mark.parametrize("call", _shown_calls())
def test_a_shown_command_exists(call):
    """Every `sisyphus …` names a command that exists, with options that it has and arguments that it takes."""
    if not call or call[0] in {"--help", "--version"} or call == ["COMMAND", "--help"]:
        return
    assert call[0] in cli.COMMANDS, f"there is no command {call[0]!r}"
    command, arguments = _command(call[0]), [word for word in call[1:] if word != "…"]
    if hasattr(command, "commands") and arguments:
        command, arguments = command.commands[arguments[0]], arguments[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)}
    assert given <= options | {"--help", "-h"}, f"`sisyphus {call[0]}` has no {', '.join(sorted(given - options))}"
    if arguments and "--help" not in arguments:
        command.make_context(call[0], arguments, resilient_parsing=False).close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every link to a file of the repository names one that exists, and every heading that is linked to."""
    for target in _LINK.findall(_BLOCK.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if heading:
            headings = [re.sub(r"[^\w -]", "", x).strip().lower().replace(" ", "-") for x in _headings(file)]
            assert heading in headings, f"{page.name} links to {target}"


def _headings(file: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", _BLOCK.sub("", file.read_text()), re.MULTILINE)


def test_the_first_screen_holds_what_a_stranger_needs():
    """Name, the two commands and the picture of the page come first; the promise follows in its exact words."""
    text = (ROOT / "README.md").read_text()
    first = "\n".join(text.splitlines()[:20])
    assert first.startswith("# Sisyphus")
    assert all(part in first for part in ("scripts/run", "scripts/test", "docs/images/page.png"))
    assert (
        "at-least-once execution, exactly-once commit of outputs and state, fenced by epoch. An accepted task reaches "
        "exactly one terminal state. What is spoken is what the database says."
    ) in " ".join(text.replace("**", "").split())
    picture = (ROOT / "docs/images/page.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 300_000
