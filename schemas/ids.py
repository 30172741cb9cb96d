"""Identifiers. They appear in paths, container labels and object keys, so their alphabet is narrow."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

#: 1-128 characters, safe as one component of a path, a label value and an object key.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def checked_id(value: str) -> str:
    """Return `value` if it can serve as an identifier.

    Raises:
        ValueError: it is empty, too long, or holds a character outside ``A-Za-z0-9._-``.
    """
    if not _ID.fullmatch(value) or value.endswith("."):
        raise ValueError("an id is 1-128 characters of A-Z a-z 0-9 . _ - and starts with a letter or digit")
    return value


TaskId = Annotated[str, AfterValidator(checked_id)]
NodeId = Annotated[str, AfterValidator(checked_id)]
SessionId = Annotated[str, AfterValidator(checked_id)]

#: A worker class, spelled as on the broker: its tasks travel through ``<queue>-queue`` with the key ``<queue>-task``.
QueueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
#: The class of nodes and of tasks that name none; its names on the broker are the original's.
DEFAULT_QUEUE = "sisyphus"
