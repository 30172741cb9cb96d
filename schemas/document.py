"""The common shape of everything that crosses a boundary: frozen, strict about keys, JSON in and out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A value that is written once: frozen, and an unknown key is an error with a name."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
