"""A session without a call, over HTTP: what the page shows after a reload, the cancel button and the output files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

pytest.importorskip("pipecat")

from infra.cluster import Cluster, open_cluster
from infra.door import build_app
from infra.door_problems import install_problems
from infra.settings import Settings, load_settings
from infra.state_store import Change
from schemas.lease import LeaseTerms
from schemas.paths import Remote
from schemas.record import OutputRecord, TaskRecord
from schemas.state import TaskState
from schemas.task import TaskDocument
from voice.bot.picture import MAX_TASKS, VoiceState
from voice.house import VoiceHouse
from voice.session.calls import Calls
from voice.session.main import Call
from voice.session.record import SessionBook
from voice.session_routes import MAX_COPIES, install_session_routes

MINE = "/api/sessions/mine"


class House:
    """What the routes need of the voice front end, without engines that take seconds to load."""

    app: FastAPI

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.calls = cluster, Calls(2)

    def voice(self) -> VoiceState:
        return VoiceState(ready=False, reason="no weights")


@asynccontextmanager
async def visiting(tmp_path: Path) -> AsyncGenerator[tuple[House, httpx.AsyncClient]]:
    """A cluster without nodes, and a client of the routes on it."""
    async with open_cluster(load_settings(data=tmp_path)) as cluster:
        house, app = House(cluster), FastAPI()
        install_problems(app)
        install_session_routes(app, lambda: cast("VoiceHouse", house))
        house.app = app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            yield house, client


async def submit(cluster: Cluster, name: str, session: str = "mine") -> TaskRecord:
    task = {"name": name, "image": "alpine:3", "commands": [{"command": ["true"]}], "tags": {"session": session}}
    return (await cluster.submit(TaskDocument.model_validate(task))).record


def by_age(records: list[TaskRecord]) -> list[TaskRecord]:
    """The oldest first; of the same millisecond, by id."""
    return sorted(records, key=lambda record: (record.created_at, record.id))


async def complete(cluster: Cluster, tmp_path: Path, **files: str) -> None:
    """What a node would do with the next task: run it, and commit the files."""
    manifest: list[OutputRecord] = []
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        remote = Remote.parse(f"sisyphus:results/{name} ü.txt")
        await cluster.put(tmp_path / name, remote)
        manifest.append(stored(remote, text))
    await commit(cluster, manifest)


def stored(remote: Remote, text: str) -> OutputRecord:
    size_bytes = len(text.encode())
    return OutputRecord(
        remote=remote, staged=remote, epoch=1, size_bytes=size_bytes, sha256="0" * 64, line=text.strip()
    )


async def commit(cluster: Cluster, manifest: list[OutputRecord]) -> None:
    """The next task has run, and its node says what it stored."""
    (claim,) = await cluster.store.claim("n1", 1, LeaseTerms(), 3)
    await cluster.store.record(claim.lease, Change(state=TaskState.RUNNING))
    await cluster.store.record(claim.lease, Change(state=TaskState.COMMITTING))
    await cluster.store.record(claim.lease, Change(state=TaskState.COMPLETE, manifest=manifest))


async def test_a_reload_shows_the_tasks_and_the_conversation_and_disturbs_no_call(tmp_path: Path) -> None:
    """Everything that is stored of the session, and nothing of another one; the session's holder keeps it."""
    async with visiting(tmp_path) as (house, client):
        book = await SessionBook.open(house.cluster.store, "mine")
        book.add_line("user", "count the words")
        book.add_line("bot", "Okay.")
        await book.commit({})
        tasks = by_age([await submit(house.cluster, "first"), await submit(house.cluster, "second")])
        await submit(house.cluster, "foreign", session="yours")
        answer = await client.get(MINE)
        seen = answer.json()
        assert answer.headers["cache-control"] == "no-store"
        assert (seen["kind"], seen["session"], seen["state"]) == ("snapshot", "mine", "listening")
        assert seen["task_ids"] == [task.id for task in tasks]
        shown = [(task["name"], task["title"], task["state"]) for task in seen["tasks"]]
        assert shown == [(task.document.name, task.document.name.capitalize(), "queued") for task in tasks]
        assert [line["text"] for line in seen["transcript"]] == ["count the words", "Okay."]
        assert seen["voice"] == {"ready": False, "reason": "no weights"}
        # Numbered below everything that a call of this session says, and the call still writes.
        assert seen["seq"] == 1_000_000_000
        await book.commit({})
        assert len(house.calls) == 0


async def test_an_unknown_session_is_empty_and_is_not_made_by_looking(tmp_path: Path) -> None:
    """A first visit is no error, and nobody can fill the database by asking."""
    async with visiting(tmp_path) as (house, client):
        seen = (await client.get("/api/sessions/never-seen")).json()
        assert (seen["tasks"], seen["transcript"], seen["seq"]) == ([], [], 0)
        assert await house.cluster.store.load_session("never-seen") is None
        assert (await client.get("/api/sessions/not%20an%20id")).status_code == 422


async def test_a_session_in_a_call_shows_what_is_not_stored_yet(tmp_path: Path) -> None:
    """A reload asks before the call that it leaves has ended and written its last lines."""
    async with visiting(tmp_path) as (house, client):
        book = await SessionBook.open(house.cluster.store, "mine")
        book.add_line("bot", "said a moment ago")
        ticket = house.calls.admit("mine")
        ticket.call = cast("Call", type("Leaving", (), {"book": book, "closer": _Closer()})())
        assert [line["text"] for line in (await client.get(MINE)).json()["transcript"]] == ["said a moment ago"]
        # The next connection has been admitted but does not run yet.
        house.calls.admit("mine")
        assert [line["text"] for line in (await client.get(MINE)).json()["transcript"]] == ["said a moment ago"]


class _Closer:
    def begin(self, reason: object) -> None:
        """Nothing is open."""


async def test_all_tasks_that_a_page_is_told_of_are_in_one_answer(tmp_path: Path) -> None:
    """Over HTTP there is no small message: the newest fifty are complete."""
    async with visiting(tmp_path) as (house, client):
        records = by_age([await submit(house.cluster, f"{number} {'x' * 200}") for number in range(MAX_TASKS + 3)])
        seen = (await client.get(MINE)).json()
        assert seen["task_ids"] == [record.id for record in records[3:]]
        assert [task["id"] for task in seen["tasks"]] == seen["task_ids"]


async def test_a_click_cancels_a_task_of_the_session_and_no_other(tmp_path: Path) -> None:
    """The card then says who did it; a foreign or unknown task is not found."""
    async with visiting(tmp_path) as (house, client):
        mine, yours = await submit(house.cluster, "mine"), await submit(house.cluster, "yours", session="yours")
        for task in (yours.id, "unknown"):
            answer = await client.post(f"{MINE}/tasks/{task}/cancel")
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert not (await house.cluster.status(yours.id)).is_terminal
        for _ in range(2):
            assert (await client.post(f"{MINE}/tasks/{mine.id}/cancel")).status_code == 202
        (shown,) = (await client.get(MINE)).json()["tasks"]
        assert (shown["state"], shown["error"], shown["detail"]) == (
            "canceled",
            "It was canceled.",
            "canceled on the page",
        )


async def test_an_output_is_saved_under_its_name_and_leaves_no_copy_behind(tmp_path: Path) -> None:
    """Whole, by its place in the card; what the session did not store is not found."""
    async with visiting(tmp_path) as (house, client):
        mine = await submit(house.cluster, "mine")
        await complete(house.cluster, tmp_path, words="358\n", pages="x" * 600_000)
        (shown,) = (await client.get(MINE)).json()["tasks"]
        sizes = {"sisyphus:results/words ü.txt": 4, "sisyphus:results/pages ü.txt": 600_000}
        assert {file["path"]: file["bytes"] for file in shown["outputs"]} == sizes
        assert (shown["result"], shown["output_count"]) == ("358", 2)
        for number, file in enumerate(shown["outputs"]):
            answer = await client.get(f"{MINE}/tasks/{mine.id}/outputs/{number}")
            assert answer.headers["content-type"] == "application/octet-stream"
            name = file["path"].rpartition("/")[2].removesuffix(" ü.txt")
            assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}%20%C3%BC.txt"
            assert len(answer.content) == file["bytes"]
        for path in (f"{MINE}/tasks/{mine.id}/outputs/2", f"{MINE}/tasks/{mine.id}/outputs/-1"):
            assert (await client.get(path)).status_code == 404
        assert (await client.get(f"/api/sessions/yours/tasks/{mine.id}/outputs/0")).status_code == 404
        await asyncio.to_thread((tmp_path / "objects" / "sisyphus" / "results" / "words ü.txt").unlink)
        gone = [(await client.get(f"{MINE}/tasks/{mine.id}/outputs/{number}")).status_code for number in range(2)]
        assert sorted(gone) == [200, 404]
        assert [file.name for file in house.cluster.settings.work_root.iterdir()] == []


async def test_an_output_where_only_workers_have_access_is_refused_in_words(tmp_path: Path) -> None:
    """No defect of this server, and no page that asks for a token: a sentence, without paths of the server."""
    async with visiting(tmp_path) as (house, client):
        mine = await submit(house.cluster, "mine")
        await commit(house.cluster, [stored(Remote.parse("file:///shared/results/words.txt"), "358")])
        answer = await client.get(f"{MINE}/tasks/{mine.id}/outputs/0")
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        assert "no access" in answer.json()["detail"]
        assert "/shared" not in answer.text


class Saving:
    """A browser that has begun to save an output, and takes no more of it until it is let."""

    def __init__(self, app: FastAPI, path: str) -> None:
        self.begun, self._go, self._is_gone = asyncio.Event(), asyncio.Event(), False
        asgi = {"version": "3.0", "spec_version": "2.4"}
        scope: Scope = {"type": "http", "asgi": asgi, "http_version": "1.1", "method": "GET", "path": path}
        scope |= {"query_string": b"", "headers": [], "root_path": "", "scheme": "http"}
        self._loop = asyncio.create_task(app(scope, self._receive, self._send))

    async def end(self, *, is_gone: bool) -> None:
        """Take the rest, or be gone without it."""
        self._is_gone = is_gone
        self._go.set()
        with suppress(ClientDisconnect):
            await self._loop

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Message) -> None:
        self.begun.set()
        assert message.get("status", 200) == 200
        await self._go.wait()
        if self._is_gone:
            raise OSError


async def test_outputs_that_are_saved_at_once_are_few_and_their_places_come_free(tmp_path: Path) -> None:
    """Each is a copy on this server's disk until it is saved; one more is refused in words, and works a little later."""
    async with visiting(tmp_path) as (house, client):
        mine = await submit(house.cluster, "mine")
        await complete(house.cluster, tmp_path, words="358\n")
        path = f"{MINE}/tasks/{mine.id}/outputs/0"
        for is_gone in (True, False):
            browsers = [Saving(house.app, path) for _ in range(MAX_COPIES)]
            await asyncio.gather(*(browser.begun.wait() for browser in browsers))
            busy = await client.get(path)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "2")
            assert "files are being saved" in busy.json()["detail"]
            for browser in browsers:
                await browser.end(is_gone=is_gone)
            assert (await client.get(path)).content == b"358\n"
        for _ in range(MAX_COPIES + 1):
            assert (await client.get(f"{MINE}/tasks/{mine.id}/outputs/7")).status_code == 404
        assert (await client.get(path)).status_code == 200


async def test_off_loopback_a_session_needs_the_token() -> None:
    """Knowing a session's id is not enough: it is in the door's authority like everything else."""
    settings = Settings.model_validate({"token": "a-long-random-word", "host": "0.0.0.0"})
    transport = httpx.ASGITransport(build_app(settings, ("voice",)))
    async with httpx.AsyncClient(transport=transport, base_url="http://cluster.example") as client:
        for path in (MINE, f"{MINE}/tasks/t/outputs/0"):
            assert (await client.get(path)).status_code == 401
            allowed = await client.get(path, headers={"Authorization": "Bearer a-long-random-word"})
            assert allowed.status_code == 503  # let in, and the front end is not up in this test
        assert (await client.post(f"{MINE}/tasks/t/cancel")).status_code == 401
