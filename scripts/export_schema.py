"""Write the JSON Schema of every public document to docs/schema: ``python scripts/export_schema.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from schemas.event import Event  # noqa: E402
from schemas.record import TaskRecord  # noqa: E402
from schemas.task import TaskDocument  # noqa: E402
from schemas.template import Template  # noqa: E402

if __name__ == "__main__":
    for model in (TaskDocument, TaskRecord, Event, Template):
        text = json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
        (ROOT / "docs" / "schema" / f"{model.__name__}.json").write_text(text)
