"""One attempt at one task: claim -> stage-in -> commands -> stage-out -> terminal state, on one screen.

The recipe runs as a task of its own; whoever must stop it (cancel, lost lease, drain) says why through `stop`, the
recipe is canceled, its container dies with it, and only then is the outcome written - fenced, so that an attempt
which lost its lease writes nothing.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from fnmatch import fnmatchcase

from infra.errors import CancelRequested, ImageError, LeaseLost, SisyphusError
from infra.log import get_logger
from infra.runtime import Image
from infra.state_store import Change, Claim
from schemas.failure import USER_CAUSES, Cause, Failure
from schemas.paths import Capture
from schemas.state import TaskState
from schemas.task import TaskDocument
from schemas.todo import ItemState
from worker import path_map, retry, staging
from worker.checkpoint import Checkpoints
from worker.commit import Commit
from worker.execution import Execution
from worker.failures import attempt_error, classify
from worker.journal import Journal
from worker.log_tail import LogSpool, log_remote
from worker.path_map import PathMap
from worker.ports import Ports
from worker.progress import parse_line
from worker.sweep import remove_elders

log = get_logger(__name__)


class Stop(StrEnum):
    """Why an attempt is stopped from outside."""

    CANCELED = "canceled"  # the user asked
    LOST = "lost"  # another node holds the task, or may soon
    RELEASED = "released"  # this node goes away; another one goes on


class Attempt:
    """One try at one task, numbered by its epoch."""

    def __init__(self, ports: Ports, claim: Claim) -> None:
        self.lease = claim.lease
        self._ports, self._claim = ports, claim
        self._task: TaskDocument = claim.record.document.model_copy(update={"id": claim.lease.task_id})
        self._journal = Journal(ports.store, claim.lease, claim.record)
        self._root = ports.settings.work_root / claim.lease.task_id / str(claim.lease.epoch)
        self._stop: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._item: str | None = None
        self._removals: list[asyncio.Task[None]] = []
        self._checkpoints = Checkpoints(ports.objects, ports.settings.default_bucket, claim.lease)
        secrets = {env: ports.settings.secret(name) for env, name in self._task.secrets.items()}
        self._secrets = {env: value for env, value in secrets.items() if value is not None}
        limit = ports.settings.log_limit_mb * 1_048_576
        self._spool = LogSpool(self._root / "log", limit, self._on_command, self._secrets.values())

    def stop(self, why: Stop) -> None:
        """Stop the attempt; the first reason counts. Never blocks."""
        if why is Stop.LOST:
            self._journal.abandon()
        if not self._stop.done():
            self._stop.set_result(why)

    async def run(self) -> None:
        """Run to an outcome. Raises nothing but what cancels the node itself."""
        recipe = asyncio.create_task(self._recipe())
        try:
            await asyncio.wait({recipe, self._stop}, return_when=asyncio.FIRST_COMPLETED)
            if not recipe.done():
                recipe.cancel()
                await asyncio.wait({recipe})
            await self._conclude(recipe)
        except LeaseLost:
            log.warning("lease_lost", task_id=self.lease.task_id, epoch=self.lease.epoch, consequence="discarded")
        except Exception as error:  # noqa: BLE001 - nothing could be written: the lease runs out, another node goes on
            log.error("outcome_not_stored", task_id=self.lease.task_id, error=f"{type(error).__name__}: {error}")
        finally:
            recipe.cancel()
            await asyncio.wait({recipe})
            await asyncio.gather(*self._removals, return_exceptions=True)
            with suppress(OSError):
                self._spool.close()
            await asyncio.to_thread(staging.remove_tree, self._root)

    # ------------------------------------------------------------------ the recipe

    async def _recipe(self) -> None:
        commit = Commit(self._ports.objects, self._journal)
        if self.lease.epoch > 1:
            await remove_elders(self._ports, self.lease)
        if self._journal.record.committed:
            await self._journal.write(Change(state=TaskState.COMMITTING))
            await commit.finish()
            return
        image = await self._admit()
        paths = await self._place(image)
        async with self._beside():
            await self._stage_in(paths)
            await self._run_commands(paths, image)
            self._item = None
            produced = await asyncio.to_thread(self._collect, paths)
            if produced:
                await self._start_stage_out()
            await self._push_log()
            if produced:
                await commit.outputs(produced)
        await commit.finish()
        await self._forget_checkpoints()

    async def _admit(self) -> Image:
        """What the document asks for, held against what this node allows."""
        settings, task = self._ports.settings, self._task
        for file in (*task.inputs, *task.outputs):
            self._ports.objects.check(file.remote)
        if not any(fnmatchcase(task.image, pattern) for pattern in settings.images):
            raise ImageError(f"image {task.image!r} is not allowed here; SISYPHUS_IMAGES allows {settings.images}")
        if task.resources.network != "none" and not settings.allow_network:
            message = f"resources.network {task.resources.network!r} is not allowed here (SISYPHUS_ALLOW_NETWORK)"
            raise attempt_error(Cause.INVALID, message)
        missing = [name for env, name in task.secrets.items() if env not in self._secrets]
        if missing:
            raise attempt_error(Cause.INVALID, f"this node has no secret {missing[0]!r} (SISYPHUS_SECRETS__…)")
        return await self._ports.runtime.prepare(task.image)

    async def _place(self, image: Image) -> PathMap:
        has = self._ports.runtime.has_path
        in_image = [path for path in sorted(path_map.parents(self._task)) if path == "/" or await has(image, path)]
        paths = path_map.plan(self._task, self._root, in_image)
        await asyncio.to_thread(staging.make_room, paths)
        return paths

    async def _stage_in(self, paths: PathMap) -> None:
        done: dict[str, ItemState] = {}
        for index, placed in enumerate(paths.inputs):
            self._item = f"stage_in:{index}"
            await self._journal.move({**done, self._item: ItemState.IN_PROGRESS})
            await staging.stage_in(self._ports.objects, placed)
            done = {self._item: ItemState.COMPLETED}
        self._item = None
        await self._checkpoints.restore(paths, self._journal.record.todos)

    async def _run_commands(self, paths: PathMap, image: Image) -> None:
        epoch, task = self.lease.epoch, self._task
        own = {"SISYPHUS_TASK_ID": self.lease.task_id, "SISYPHUS_ATTEMPT": str(epoch)}
        capture = any(isinstance(x.internal, Capture) for x in task.outputs)
        if capture:
            await asyncio.to_thread(paths.capture.touch)
        env = {**task.env, **self._secrets, **own}
        execution = Execution(
            self._ports, task, epoch, paths, image, self._spool, self._journal.note, env, capture=capture
        )
        self._removals = execution.removals
        staged = {f"stage_in:{len(task.inputs) - 1}": ItemState.COMPLETED} if task.inputs else {}
        state: TaskState | None = TaskState.RUNNING
        for index in range(len(task.commands)):
            item = self._item = f"command:{index}"
            if self._journal.todo(item) is ItemState.COMPLETED:
                continue
            await self._journal.move({**staged, item: ItemState.IN_PROGRESS}, Change(state=state))
            staged, state = {}, None
            await execution.run(index)
            if task.checkpoint:
                await self._checkpoints.save(paths, index)
                await self._journal.move({item: ItemState.COMPLETED}, Change(durable=(item,)))
                await self._checkpoints.forget(self._journal.record.todos, before=index)
            elif index < len(task.commands) - 1:
                await self._journal.move({item: ItemState.COMPLETED})
        self._item = None
        last = f"command:{len(task.commands) - 1}"
        await self._journal.move({**staged, last: ItemState.COMPLETED}, Change(state=TaskState.COMMITTING))

    def _collect(self, paths: PathMap) -> list[staging.Produced]:
        if any(x.output.internal is Capture.LOG for x in paths.outputs):
            frame_log(paths, self._task, "complete")
        return staging.collect(paths, paths.outputs)

    async def _start_stage_out(self) -> None:
        items = {f"stage_out:{n}": ItemState.IN_PROGRESS for n in range(len(self._task.outputs))}
        await self._journal.move(items)

    async def _push_log(self) -> None:
        """Keep the log beside the outputs. Losing it is worth a line, not the task."""
        await self._end_log()
        await self._keep_log()

    async def _end_log(self) -> None:
        """The rest of the output for live readers, while the lease is held."""
        try:
            await self._spool.publish(self._ports.store, self.lease)
        except SisyphusError as error:
            log.warning("live_log_not_ended", task_id=self.lease.task_id, error=str(error))

    async def _keep_log(self) -> None:
        """The whole log as an object of this attempt alone, so that it may be stored after the lease was given back."""
        if self._spool.size_bytes == 0:
            return
        remote = log_remote(self._ports.settings.default_bucket, self.lease.task_id, self.lease.epoch)
        try:
            self._spool.close()
            await self._ports.objects.at(remote).store(self._spool.path, remote)
        except (SisyphusError, OSError) as error:
            log.warning("log_not_stored", task_id=self.lease.task_id, error=str(error))

    async def _forget_checkpoints(self) -> None:
        try:
            await self._checkpoints.forget(self._journal.record.todos)
        except SisyphusError as error:
            log.warning("checkpoint_not_deleted", task_id=self.lease.task_id, error=str(error))

    @asynccontextmanager
    async def _beside(self) -> AsyncGenerator[None]:
        """The loops that write milestones and live output while the recipe goes on."""
        loops = [
            asyncio.create_task(self._journal.flush_loop()),
            asyncio.create_task(self._spool.publish_loop(self._ports.store, self.lease)),
        ]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    def _on_command(self, line: str) -> None:
        if (event := parse_line(line)) is not None:
            self._journal.note(event)

    # ------------------------------------------------------------------ outcomes

    async def _conclude(self, recipe: asyncio.Task[None]) -> None:
        """Write what became of the recipe, if it did not end the task itself."""
        error = None if recipe.cancelled() else recipe.exception()
        if error is None and not recipe.cancelled():
            return
        why = self._stop.result() if self._stop.done() else None
        if isinstance(error, LeaseLost) or why is Stop.LOST:
            raise LeaseLost
        if isinstance(error, CancelRequested) or why is Stop.CANCELED:
            await self._cancel()
            return
        try:
            if error is None:
                await self._journal.write(Change(state=TaskState.QUEUED, message="released by a node that stops"))
            else:
                await self._fail(classify(error, self._item))
        except CancelRequested:
            await self._cancel()

    async def _cancel(self) -> None:
        await self._end_log()
        if self._journal.record.committed:
            await self._promote()  # it came too late
            return
        await self._journal.write(Change(state=TaskState.CANCELED, failure=_canceled()))
        await self._keep_log()  # afterwards: whoever canceled need not wait for a slow object store
        await self._forget_checkpoints()

    async def _fail(self, failure: Failure) -> None:
        log.info(
            "attempt_failed", task_id=self.lease.task_id, epoch=self.lease.epoch, **failure.model_dump(mode="json")
        )
        await self._push_log()
        await self._settle(failure)

    async def _settle(self, failure: Failure) -> None:
        """Write what follows from a failure: another attempt, or the end."""
        record = self._journal.record
        decision = retry.decide(self._task, failure, record.attempts, random.random(), committed=record.committed)  # noqa: S311
        if decision.state is TaskState.RETRY_WAIT:
            change = Change(state=decision.state, failure=failure, retry_in_s=decision.delay_s, counts=True)
            await self._journal.write(change)
            return
        if failure.cause in USER_CAUSES and await self._store_logs(failure):
            return
        todos = {failure.item: ItemState.FAILED} if failure.item else {}
        letter = failure.message if decision.state is TaskState.SYSTEM_ERROR else None
        is_counted = self._journal.record.attempts > record.attempts
        change = Change(state=decision.state, failure=failure, counts=not is_counted, dead_letter=letter)
        await self._journal.move(todos, change)
        await self._forget_checkpoints()

    async def _store_logs(self, failure: Failure) -> bool:
        """``>>`` outputs are stored even when the commands failed, by the same commit; False if it did not end so.

        A log that cannot be stored is no reason to run a failed command again: the failure stays what it was.
        """
        paths = path_map.plan(self._task, self._root, [])
        logs = [x for x in paths.outputs if x.output.internal is Capture.LOG]
        if not logs or not paths.capture.exists():
            return False
        todos = {failure.item: ItemState.FAILED} if failure.item else {}
        state = None if self._journal.record.state is TaskState.COMMITTING else TaskState.COMMITTING
        await self._journal.move(todos, Change(state=state, failure=failure, counts=True))
        try:
            await asyncio.to_thread(frame_log, paths, self._task, failure.message)
            produced = await asyncio.to_thread(staging.collect, paths, logs)
            await Commit(self._ports.objects, self._journal).outputs(produced, failure)
        except (SisyphusError, OSError, ExceptionGroup) as error:
            log.warning("log_output_not_stored", task_id=self.lease.task_id, error=classify(error, None).message)
            return False
        await self._promote()
        return True

    async def _promote(self) -> None:
        """End a task whose manifest is committed, now or by another attempt that replays it."""
        try:
            await Commit(self._ports.objects, self._journal).finish()
            await self._forget_checkpoints()
        except (SisyphusError, OSError, ExceptionGroup) as error:
            await self._settle(classify(error, None))


def frame_log(paths: PathMap, task: TaskDocument, result: str) -> None:
    """Write the ``>>`` log: what was printed between the original's prologue and epilogue. Blocking."""
    rule = "-" * 80
    with paths.framed.open("wb") as out, paths.capture.open("rb") as body:
        out.write(f"{task.model_dump_json(exclude_defaults=True)}\n{rule}\n".encode())
        shutil.copyfileobj(body, out)
        out.write(f"{rule}\n{result}\n".encode())


def _canceled() -> Failure:
    return Failure(cause=Cause.CANCELED, message="canceled by the user")
