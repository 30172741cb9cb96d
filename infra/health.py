"""The outcome of trying a part of the system; what `sisyphus doctor` collects, from this floor and from the roles."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    OPTIONAL = "optional"  # not here, and nothing that was asked for needs it
    PROBLEM = "problem"


class Check(BaseModel):
    """One part that was tried.

    Attributes:
        detail: what was seen.
        remedy: what to do about it; empty where nothing is to be done.
    """

    name: str
    health: Health
    detail: str
    remedy: str = ""


def good(name: str, detail: str) -> Check:
    """A part that works."""
    return Check(name=name, health=Health.OK, detail=detail)


def bad(name: str, detail: str, remedy: str) -> Check:
    """A part that does not work and is needed."""
    return Check(name=name, health=Health.PROBLEM, detail=detail, remedy=remedy)


def absent(name: str, detail: str, remedy: str = "") -> Check:
    """A part that is not there and is not needed."""
    return Check(name=name, health=Health.OPTIONAL, detail=detail, remedy=remedy)
