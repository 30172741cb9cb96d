"""The catalogue: templates read from folders of YAML files.

Owns where templates are found and how a broken file is reported. The shipped folder is read first; a template of the
same name in a later folder takes its place. Either every file is sound or nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import yaml
from pydantic import ValidationError

from schemas.failure import DocumentError, Problem, RefusalError
from schemas.template import Template

_HERE = Path(__file__).resolve().parent
#: Largest template file that is read, in bytes.
MAX_FILE_BYTES = 262_144


def shipped_folder() -> Path:
    """The folder of our own templates: inside the installed package, or beside it in a checkout."""
    packaged = _HERE / "catalog"
    return packaged if packaged.is_dir() else _HERE.parent / "templates"


@dataclass(frozen=True, slots=True)
class Catalog:
    """All templates by name, in the order of their names."""

    templates: Mapping[str, Template]

    def __iter__(self) -> Iterator[Template]:
        return iter(self.templates.values())

    def __len__(self) -> int:
        return len(self.templates)

    def get(self, name: str) -> Template:
        """The template called `name`; its title is understood too.

        Raises:
            DocumentError: there is none; the message lists the names.
        """
        wanted = name.strip().lower().replace(" ", "-")
        for template in self:
            if wanted in {template.name, template.title.lower().replace(" ", "-")}:
                return template
        near = get_close_matches(wanted, self.templates, n=1)
        hint = f"did you mean {near[0]}? There are" if near else "there are"
        message = f"there is no template {name!r}; {hint} {', '.join(self.templates) or 'none'}"
        raise DocumentError([Problem(code="template_unknown", field="template", message=message)])


def load_catalog(*extra_folders: Path) -> Catalog:
    """Read the shipped templates, then `extra_folders` in order.

    Raises:
        DocumentError: every problem of every file; `field` is ``<file>: <path inside it>``.
    """
    found: dict[str, Template] = {}
    problems: list[Problem] = []
    for folder in (shipped_folder(), *extra_folders):
        if not folder.is_dir():
            problems.append(Problem(code="folder_missing", field=str(folder), message="this folder does not exist"))
            continue
        names: dict[str, str] = {}
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
            try:
                template = read_template(path)
            except DocumentError as error:
                problems.extend(error.problems)
                continue
            if template.name in names:
                message = f"{template.name} is already defined in {names[template.name]}"
                problems.append(Problem(code="template_twice", field=f"{path.name}: name", message=message))
            names[template.name] = path.name
            found[template.name] = template
    if problems:
        raise DocumentError(problems)
    return Catalog(MappingProxyType(dict(sorted(found.items()))))


def read_template(path: Path) -> Template:
    """Read one file.

    Raises:
        DocumentError: it cannot be read, is not YAML, or breaks a rule.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise _rejected(path, "too_large", "", f"a template has at most {MAX_FILE_BYTES} bytes")
        value: object = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader that also refuses repeated keys
    except (OSError, UnicodeDecodeError) as error:
        raise _rejected(path, "unreadable", "", f"cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise _rejected(path, "yaml", "", f"not YAML: {' '.join(str(error).split())}") from None
    try:
        return Template.model_validate(value)
    except ValidationError as error:
        raise DocumentError(_problems(path, cast("Iterable[dict[str, Any]]", error.errors()))) from None


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader for which a key given twice is an error, not a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", node.start_mark)
        return cast("dict[Any, Any]", super().construct_mapping(node, deep))


def _problems(path: Path, errors: Iterable[dict[str, Any]]) -> Iterator[Problem]:
    for error in errors:
        cause = error.get("ctx", {}).get("error")
        inner = cause.field if isinstance(cause, RefusalError) else ""
        field = ".".join([*(str(part) for part in error["loc"]), *([inner] if inner else [])])
        code = cause.code if isinstance(cause, RefusalError) else str(error["type"])
        message = str(error["msg"]).removeprefix("Value error, ")
        yield Problem(code=code, field=f"{path.name}: {field}", message=message)


def _rejected(path: Path, code: str, field: str, message: str) -> DocumentError:
    return DocumentError([Problem(code=code, field=f"{path.name}: {field}".rstrip(": "), message=message)])
