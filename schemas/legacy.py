"""Reading task documents, in our form and in every form of the original Sisyphus (CovertLab, 2018-2019).

The original's documents carry a top-level ``command`` and may lack id, workflow and name; ``inputs`` and ``outputs``
come as a map or, from Gaia, as a list of pairs; ``timeout`` may be null. They ran with a writable root, without
limits and for one hour, and keep that here within the bounds of `LEGACY_RESOURCES`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, cast

from pydantic import ValidationError

from schemas.failure import DocumentError, Problem, RefusalError
from schemas.task import Resources, TaskDocument

#: The original documented 16 GiB and never applied it; its containers had a writable root.
LEGACY_RESOURCES = Resources(cpus=1024, memory_mb=16_384, disk_mb=65_536, pids=4096, read_only_root=False)
#: Longest document that is looked at, in bytes.
MAX_DOCUMENT_BYTES = 1_048_576


def parse_json(body: bytes | str) -> TaskDocument:
    """Read a task document from JSON.

    Raises:
        DocumentError: it is too long, not JSON, not an object, or breaks a rule; every problem is listed.
    """
    raw = body.encode() if isinstance(body, str) else body
    if not raw.strip():
        raise _single("json", "it is empty, and a task document is a JSON object")
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise _single("too_large", f"a document has at most {MAX_DOCUMENT_BYTES} bytes, this one has {len(raw)}")
    try:
        value: Any = json.loads(raw, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate parses, but nothing can store it
    except UnicodeEncodeError:
        raise _single("unicode", "the document holds a lone surrogate, which is not Unicode text") from None
    except (ValueError, RecursionError) as error:
        raise _single("json", f"not JSON: {error}") from None
    return parse_task(value)


def parse_task(value: object) -> TaskDocument:
    """Read a task document from parsed JSON.

    Raises:
        DocumentError: every problem has a stable code, the field's path, and one sentence.
    """
    if not isinstance(value, Mapping):
        raise _single("type", f"a task document is a JSON object, not {_NAMES.get(type(value), 'a value')}")
    raw = dict(cast("Mapping[str, Any]", value))
    raw = _modernised(raw)
    for side in ("inputs", "outputs"):
        if side in raw:
            raw[side] = _pairs(raw[side], side)
    try:
        return TaskDocument.model_validate(raw)
    except ValidationError as error:
        found = [_problem(cast("dict[str, Any]", e), raw) for e in error.errors(include_url=False)[:32]]
        raise DocumentError(_causes(found)) from None
    except RecursionError:
        raise _single("depth", "the document is nested too deeply") from None


def _modernised(raw: dict[str, Any]) -> dict[str, Any]:
    """The original's top-level keys in our form; a document of ours passes unchanged."""
    if "timeout" in raw and "timeout_s" not in raw:
        timeout = raw.pop("timeout")
        if timeout is not None:
            raw["timeout_s"] = timeout
    if "command" not in raw:
        return {key: value for key, value in raw.items() if not (key in {"id", "timeout_s"} and value is None)}
    if "commands" in raw:
        raise _single("command_twice", "give either command or commands, not both", "command")
    command = {"command": raw.pop("command")}
    for stream in ("stdout", "stderr", "stdin"):
        if stream in raw:
            command[stream] = raw.pop(stream)
    raw["commands"] = [command]
    raw.setdefault("resources", LEGACY_RESOURCES)
    nullable = ("id", "name", "workflow", "inputs", "outputs", "timeout_s")
    return {key: value for key, value in raw.items() if value is not None or key not in nullable}


def _pairs(value: object, side: str) -> list[dict[str, object]]:
    """A map or a list of pairs as a list of ``{remote, internal}``."""
    items: list[Any]
    if isinstance(value, Mapping):
        items = [list(pair) for pair in cast("Mapping[str, Any]", value).items()]
    elif isinstance(value, list | tuple):
        items = list(cast("Iterable[Any]", value))
    else:
        raise _single("type", f"{side} is a map remote -> internal or a list of pairs", side)
    result: list[dict[str, object]] = []
    for number, item in enumerate(items):
        if isinstance(item, Mapping):
            result.append(dict(cast("Mapping[str, object]", item)))
        elif isinstance(item, list | tuple) and len(pair := list(cast("Iterable[Any]", item))) == 2:
            result.append({"remote": pair[0], "internal": pair[1]})
        else:
            raise _single("pair", "an entry is a pair [remote, internal]", f"{side}[{number}]")
    return result


def _causes(found: list[Problem]) -> list[Problem]:
    """Without what only follows from another problem: a list is not too short because its one entry is wrong."""
    fields = [p.field for p in found]
    return [p for p in found if p.code != "too_short" or not any(f.startswith(f"{p.field}[") for f in fields)]


#: What the validator's own words would leave unclear to somebody who writes JSON.
_WORDS = {
    "extra_forbidden": "is not a known key here; check its spelling",
    "tuple_type": 'must be a list, as in ["wc", "-w", "/in/text"]',
    "dict_type": "must be an object, as in {}",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
}


#: What Python calls otherwise than JSON.
_NAMES: dict[type, str] = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _problem(error: dict[str, Any], raw: Mapping[str, Any]) -> Problem:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    if error["type"] == "missing":
        near = get_close_matches(path, raw, n=1, cutoff=0.75)
        hint = f"; is {near[0]!r} meant to be it?" if near else ""
        return Problem(code="missing", field=path, message=f"{path} is required{hint}")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, RefusalError):
        return Problem(code=cause.code, field=cause.field or path, message=str(cause))
    value = error.get("input")
    shown = f" (got {str(value)[:80]!r})" if isinstance(value, str | int | float | bool) or value is None else ""
    words = _WORDS.get(error["type"])
    message = f"{path} {words}" if words else str(error["msg"]).removeprefix("Value error, ")
    return Problem(code=error["type"], field=path, message=message + shown)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _single(code: str, message: str, field: str = "") -> DocumentError:
    return DocumentError([Problem(code=code, field=field, message=message)])
