"""Write the table of settings into docs/operations.md, from the code: ``python scripts/export_settings.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from infra.settings import Settings  # noqa: E402

PAGE = ROOT / "docs" / "operations.md"
BEGIN, END = "<!-- settings: written by scripts/export_settings.py -->\n", "<!-- end of settings -->\n"


def table() -> str:
    """The settings as a Markdown table."""
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in _rows(Settings, "SISYPHUS_")]
    return "\n".join(["| variable | default | what it is |", "|---|---|---|", *rows]) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            for inner, value, meaning in _rows(type(default), f"{variable}__"):
                yield inner, value, f"{meaning}; {field.description}"
            continue
        empty = default in (None, "", (), {}, PydanticUndefined)
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        yield variable, "" if empty else f"`{text}`", (field.description or "").replace("<", "&lt;")


def main() -> None:
    """Put the table between its two marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}")


if __name__ == "__main__":
    main()
