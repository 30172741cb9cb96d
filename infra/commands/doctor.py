"""``sisyphus doctor``: tries every part and prints what works, what does not, and what to do."""

from __future__ import annotations

from infra.commands.options import AsJson, Data, finish


def doctor(as_json: AsJson = False, data: Data = None) -> None:
    """Try every part of the system: disk, database, objects, broker, runtimes, speech, page, port.

    The exit code is 0 when everything that is needed works, else 3.

    Examples:
      sisyphus doctor
      sisyphus doctor --json | jq '.checks[] | select(.health == "problem")'
      SISYPHUS_DATABASE=postgresql+asyncpg://me@db/sisyphus sisyphus doctor
    """
    from infra.commands.examination import examine_all

    finish(examine_all(as_json=as_json, data=data))
