"""The published JSON Schemas are those of the code."""

import json
from pathlib import Path

import pytest

from schemas.event import Event
from schemas.record import TaskRecord
from schemas.task import TaskDocument
from schemas.template import Template

FOLDER = Path(__file__).parents[2] / "docs" / "schema"


@pytest.mark.parametrize("model", [TaskDocument, TaskRecord, Event, Template])
def test_published_schema_is_current(model):
    """`make schema` writes docs/schema; a change of a document without it is found here."""
    published = json.loads((FOLDER / f"{model.__name__}.json").read_text())
    assert published == model.model_json_schema()
