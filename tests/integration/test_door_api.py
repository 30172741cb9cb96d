"""The task API over a real state store: submit, list, look at, cancel, follow."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from infra.door import build_app
from infra.settings import Settings
from infra.state_store import Change
from orchestrator.api.streams import Streams
from schemas.event import EventType, NewEvent
from schemas.state import TaskState
from tests.conftest import need

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "tasks").glob("*.json"))
ECHO = {"name": "echo", "workflow": "tests", "image": "alpine:3", "commands": [{"command": ["echo", "hello"]}]}


@pytest.fixture
async def app(tmp_path):
    """The application, connected to a fresh cluster."""
    app = build_app(Settings(data=tmp_path), ["tasks"])
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app):
    """A client on this machine."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


@asynccontextmanager
async def served(app):
    """A client that reads answers while they are written, over a real socket."""
    import uvicorn

    from infra.listening import open_socket

    with open_socket("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listening]))
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
                yield client
            server.should_exit = True


async def test_a_document_names_its_worker_class(client):
    """Over HTTP as everywhere; the answer and the list say which class it is, also where none was named."""
    made = (await client.post("/v1/tasks", json={**ECHO, "queue": "gpu"})).json()
    assert (made["queue"], made["document"]["queue"]) == ("gpu", "gpu")
    assert (await client.post("/v1/tasks", json=ECHO)).json()["queue"] == "sisyphus"
    assert {x["queue"] for x in (await client.get("/v1/tasks")).json()["tasks"]} == {"gpu", "sisyphus"}
    refused = await client.post("/v1/tasks", json={**ECHO, "queue": "no such/queue"})
    assert (refused.status_code, refused.json()["problems"][0]["field"]) == (422, "queue")


async def finish(app, task_id, state=TaskState.COMPLETE):
    """Run a task through its states as a node would."""
    cluster = app.state.door.cluster
    claim = await cluster.store.claim_task("node-1", task_id, cluster.settings.lease)
    assert claim is not None
    steps = [TaskState.RUNNING, TaskState.COMMITTING, state] if state is TaskState.COMPLETE else [state]
    await cluster.store.append_log(claim.lease, 0, "hello\n")
    for step in steps:
        await cluster.store.record(claim.lease, Change(state=step))


async def test_a_new_task_is_created_and_a_known_one_found(client):
    """201 with the task's address at first, 200 with the same task afterwards, and one row."""
    first = await client.post("/v1/tasks", json={**ECHO, "id": "twice"})
    again = await client.post("/v1/tasks", json={**ECHO, "id": "twice"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["Location"] == again.headers["Location"] == "/v1/tasks/twice"
    assert (await client.get(first.headers["Location"])).json()["state"] == "queued"
    assert len((await client.get("/v1/tasks")).json()["tasks"]) == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
async def test_every_example_is_accepted(client, example):
    """Every example document, the original's forms among them, comes in through this door as through the queue."""
    answer = await client.post("/v1/tasks", content=example.read_bytes())
    assert answer.status_code == 201, answer.text
    assert answer.json()["todos"]


async def test_there_are_examples():
    """The test above has something to hold on to."""
    need(EXAMPLES, "examples/tasks")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "json", ""),
        (b"[]", "type", ""),
        (b'{"image": "alpine:3"}', "missing", "commands"),
        (b'{"image": "alpine:3", "commands": [{"command": ["x"]}], "priority": 10}', "less_than_equal", "priority"),
        (b'{"image": "alpine:3", "commands": [{"command": ["x"]}], "inputs": {"x": "/in"}}', "remote_form", "inputs"),
    ],
)
async def test_a_bad_document_is_answered_with_its_problems(client, body, code, field):
    """422 as problem+json, each problem with code, field and message."""
    answer = await client.post("/v1/tasks", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()["problems"][0]
    assert problem["code"] == code
    assert problem["field"].startswith(field)
    assert problem["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/tasks/unknown", 404),
        ("GET", "/v1/tasks/unknown/events", 404),
        ("GET", "/v1/tasks/unknown/log", 404),
        ("POST", "/v1/tasks/unknown/cancel", 404),
        ("POST", "/v1/templates/unknown", 404),
        ("GET", "/v1/tasks/..%2fx", 404),
        ("GET", "/v1/tasks/a%20b", 422),
        ("GET", "/v1/tasks?limit=0", 422),
        ("GET", "/v1/tasks?state=asleep", 422),
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/tasks", 405),
    ],
)
async def test_every_error_is_a_problem_document(client, method, path, status):
    """Whatever is wrong with a request, the answer has one shape."""
    answer = await client.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/tasks", "GET, POST"),
        ("PUT", "/v1/tasks/unknown", "GET"),
        ("GET", "/v1/tasks/unknown/cancel", "POST"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_possible_is_told_which_are(client, method, path, allowed):
    """All that the path takes, each of which has a route of its own: in the header and in words."""
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert answer.json()["detail"] == f"{method} is not possible here; what is: {allowed}"


async def test_a_list_can_be_narrowed(client, app):
    """State, workflow, session and limit hold together, newest first."""
    for name, tags in (("one", {}), ("two", {"session": "s1"}), ("three", {"session": "s1"})):
        await client.post("/v1/tasks", json={**ECHO, "id": name, "tags": tags})
    await finish(app, "three")

    async def names(**query):
        return [task["id"] for task in (await client.get("/v1/tasks", params=query)).json()["tasks"]]

    assert await names() == ["three", "two", "one"]
    assert await names(session="s1") == ["three", "two"]
    assert await names(session="s1", state="queued") == ["two"]
    assert await names(state=["queued", "complete"], limit=1) == ["three"]
    assert await names(workflow="other") == []


async def test_a_queued_task_is_canceled_at_once(client):
    """202, and the task is canceled with the reason that was given; once more changes nothing."""
    await client.post("/v1/tasks", json={**ECHO, "id": "stop-me"})
    for _ in range(2):
        answer = await client.post("/v1/tasks/stop-me/cancel", json={"reason": "wrong input"})
        assert answer.status_code == 202
        assert answer.json()["state"] == "canceled"
    assert (await client.post("/v1/tasks/stop-me/cancel")).status_code == 202


async def test_events_can_be_read_as_a_list(client, app):
    """With Accept: application/json there is no stream, and `after` goes on behind a known event."""
    await client.post("/v1/tasks", json={**ECHO, "id": "listed"})
    await finish(app, "listed")
    headers = {"Accept": "application/json"}
    events = (await client.get("/v1/tasks/listed/events", headers=headers)).json()["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    rest = (await client.get("/v1/tasks/listed/events?after=2", headers=headers)).json()["events"]
    assert rest == events[2:]


def parse(text):
    """Server-sent events as dictionaries; comments are dropped."""
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


async def test_a_stream_follows_a_task_to_its_end(client, app):
    """Events arrive while they happen, numbered by seq, and the stream ends with the event that ended the task."""
    await client.post("/v1/tasks", json={**ECHO, "id": "streamed"})
    async with served(app) as live, live.stream("GET", "/v1/tasks/streamed/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        parts = answer.aiter_text()
        first = await anext(parts)
        assert "event: accepted" in first
        await finish(app, "streamed")
        events = parse(first + "".join([part async for part in parts]))
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    assert json.loads(events[-1]["data"])["data"]["to"] == "complete"


async def test_a_stream_goes_on_where_it_broke_off(client, app):
    """Last-Event-ID neither repeats nor misses; behind the last event, 204 tells a browser to stop reconnecting."""
    await client.post("/v1/tasks", json={**ECHO, "id": "resumed"})
    await finish(app, "resumed")
    whole = parse((await client.get("/v1/tasks/resumed/events")).text)
    rest = parse((await client.get("/v1/tasks/resumed/events", headers={"Last-Event-ID": "2"})).text)
    assert rest == whole[2:]
    last = await client.get("/v1/tasks/resumed/events", headers={"Last-Event-ID": whole[-1]["id"]})
    assert last.status_code == 204


async def test_the_log_is_plain_text(client, app):
    """What the commands print, whole, and with follow until the task ends."""
    await client.post("/v1/tasks", json={**ECHO, "id": "logged"})
    async with asyncio.TaskGroup() as group:
        follow = group.create_task(client.get("/v1/tasks/logged/log?follow=true"))
        group.create_task(finish(app, "logged"))
    assert follow.result().text == "hello\n"
    assert (await client.get("/v1/tasks/logged/log")).headers["content-type"].startswith("text/plain")


async def test_a_template_runs_by_its_values(client):
    """The catalogue is listed, a wrong value is a problem with its name, a right one makes a task."""
    names = [template["name"] for template in (await client.get("/v1/templates")).json()["templates"]]
    assert "count-words" in names
    wrong = await client.post("/v1/templates/count-words", json={"sauce": "x"})
    assert {p["field"] for p in wrong.json()["problems"]} == {"parameters.sauce", "parameters.source"}
    made = await client.post("/v1/templates/count-words", json={"source": "sisyphus:reports/annual-report.txt"})
    assert made.status_code == 201
    assert made.json()["template"] == "count-words"


async def test_progress_and_result_are_told(client, app):
    """A view holds what the task reported last, so that a client needs no event to draw a bar."""
    await client.post("/v1/tasks", json={**ECHO, "id": "half"})
    cluster = app.state.door.cluster
    claim = await cluster.store.claim_task("node-1", "half", cluster.settings.lease)
    told = NewEvent(type=EventType.PROGRESS, data={"percent": 50, "message": "half way"})
    await cluster.store.record(claim.lease, Change(percent=50, message="half way", events=[told]))
    view = (await client.get("/v1/tasks/half")).json()
    assert (view["progress"], view["message"], view["node"]) == (50.0, "half way", "node-1")


async def test_the_door_is_healthy_while_its_database_answers(client, app):
    """200 with it, 503 without it, as problem+json."""
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    app.state.door.connected = None
    answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


async def test_streams_are_bounded(client, app):
    """Beyond the limit a stream is refused at once, and one that ended makes room."""
    await client.post("/v1/tasks", json={**ECHO, "id": "many"})
    app.state.streams = Streams(app.state.door.stopping, limit=1)
    async with served(app) as live:
        async with live.stream("GET", "/v1/tasks/many/events") as first:
            parts = first.aiter_text()
            await anext(parts)
            refused = await live.get("/v1/tasks/many/log?follow=true")
            assert refused.status_code == 503
            assert refused.headers["Retry-After"]
            await client.post("/v1/tasks/many/cancel")
            assert "canceled" in "".join([part async for part in parts])
        assert (await live.get("/v1/tasks/many/log?follow=true")).status_code == 200


async def test_streams_end_when_the_door_stops(client, app):
    """A stream of a task that goes on for ever does not hold up the end of the process."""
    await client.post("/v1/tasks", json={**ECHO, "id": "endless"})
    async with served(app) as live, live.stream("GET", "/v1/tasks/endless/events") as answer:
        parts = answer.aiter_text()
        await anext(parts)
        app.state.door.stopping.set()
        async with asyncio.timeout(10):
            assert [part async for part in parts if "event:" in part] == []
