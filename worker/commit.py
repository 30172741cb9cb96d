"""The commit of outputs: exactly one attempt's objects reach the final keys, all of them, or none.

1. upload below ``.sisyphus/<task>/<epoch>/`` and verify; 2. store the manifest, fenced by the epoch: from here on the
task can only end with these outputs; 3. promote by copying to the final keys, which any node can replay from the
manifest; 4. the terminal state, with one event per output. A reader of the final keys can see a directory half
promoted; the event and the state come after the last object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from infra.errors import ObjectMissingError, SisyphusError
from infra.log import get_logger
from infra.object_store import ObjectInfo, ObjectStores
from infra.state_store import Change
from schemas.failure import Cause, Failure
from schemas.paths import RESERVED_PREFIX, Remote, Scheme
from schemas.record import OutputRecord
from schemas.state import TaskState
from schemas.todo import ItemKind, ItemState
from worker.failures import AttemptError, attempt_error
from worker.journal import Journal
from worker.staging import PARALLEL, Produced

log = get_logger(__name__)

#: A text output of one line up to this many bytes is kept in the manifest, to be shown and spoken.
LINE_BYTES = 300


class Commit:
    """The commit of one task by one attempt."""

    def __init__(self, objects: ObjectStores, journal: Journal) -> None:
        self._objects, self._journal = objects, journal

    async def outputs(self, produced: Sequence[Produced], failure: Failure | None = None) -> None:
        """Upload and commit the manifest. Raises what the store raises; nothing is promoted then."""
        _check_unique(produced)
        gate = asyncio.Semaphore(PARALLEL)
        async with asyncio.TaskGroup() as group:
            uploads = [group.create_task(self._upload(n, file, gate)) for n, file in enumerate(produced)]
        manifest = [upload.result() for upload in uploads]
        await self._journal.write(Change(manifest=manifest, failure=failure))

    async def _upload(self, number: int, file: Produced, gate: asyncio.Semaphore) -> OutputRecord:
        lease = self._journal.lease
        staged = staging_prefix(file.remote, lease.task_id, lease.epoch).child(f"{number}-{file.remote.name[-80:]}")
        async with gate:
            info = await self._objects.at(staged).store(file.local, staged)
        if info.sha256 is None:
            raise _differs(staged)
        line = await asyncio.to_thread(_one_line, file.local, info.size_bytes)
        return OutputRecord(
            remote=file.remote,
            staged=staged,
            epoch=lease.epoch,
            size_bytes=info.size_bytes,
            sha256=info.sha256,
            line=None if file.log else line,
            log=file.log,
        )

    async def finish(self) -> None:
        """Promote what the manifest names and end the task. Replayable by any attempt that holds the lease."""
        record = self._journal.record
        gate = asyncio.Semaphore(PARALLEL)
        async with asyncio.TaskGroup() as group:
            for output in record.outputs:
                group.create_task(self._promote(output, gate))
        # Without a manifest the failure in the record is that of an earlier attempt.
        failure = record.failure if record.committed else None
        state = TaskState.EXECUTOR_ERROR if failure else TaskState.COMPLETE
        items = [x for x in record.todos if x.kind is ItemKind.STAGE_OUT and x.state is not ItemState.COMPLETED]
        if failure:
            stored = {str(x.remote) for x in record.outputs}
            items = [x for x in items if str(record.document.outputs[x.index].remote) in stored]
        todos = {x.key: ItemState.COMPLETED for x in items}
        await self._journal.write(Change(state=state, todos=todos, durable=tuple(todos), failure=failure))
        await self._sweep(record.outputs)

    async def _promote(self, output: OutputRecord, gate: asyncio.Semaphore) -> None:
        store = self._objects.at(output.remote)
        async with gate:
            try:
                info = await store.copy(output.staged, output.remote)
            except ObjectMissingError:
                # Another attempt promoted it and swept the staging key: the final object must then be the manifest's.
                found = await store.stat(output.remote)
                if found is None or not _is(found, output):
                    raise
                return
        if not _is(info, output):
            raise _differs(output.remote)

    async def _sweep(self, outputs: Sequence[OutputRecord]) -> None:
        """Delete staging objects; what stays is found by its prefix and swept after a grace."""
        with suppress(SisyphusError):
            for output in outputs:
                await self._objects.at(output.staged).delete([output.staged])


def staging_prefix(remote: Remote, task_id: str, epoch: int) -> Remote:
    """Where an attempt stages outputs of a bucket (for ``file://``: beside the final file)."""
    own = f"{RESERVED_PREFIX}{task_id}/{epoch}/"
    if remote.scheme is Scheme.FILE:
        return remote.beside(f"{remote.key.rpartition('/')[0]}/{own}")
    return remote.beside(own)


def _check_unique(produced: Sequence[Produced]) -> None:
    """Two files for one key: which of them stays would be chance."""
    seen: set[Remote] = set()
    for file in produced:
        if file.remote in seen:
            raise attempt_error(Cause.INVALID, f"two outputs of the task would be stored as {file.remote}")
        seen.add(file.remote)


def _is(info: ObjectInfo, output: OutputRecord) -> bool:
    return info.size_bytes == output.size_bytes and info.sha256 in {None, output.sha256}


def _differs(remote: Remote) -> AttemptError:
    return attempt_error(Cause.INFRASTRUCTURE, f"{remote}: size or checksum differ from what was sent")


def _one_line(path: Path, size_bytes: int) -> str | None:
    if not 0 < size_bytes <= LINE_BYTES:
        return None
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    line = text.strip()
    return line if line and "\n" not in line and line.isprintable() else None
