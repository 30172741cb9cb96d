"""Inputs from http(s) as a task experiences them, through a real node that is allowed one server."""

import shutil

import pytest
import pytest_asyncio

from schemas.event import EventType
from schemas.failure import Cause
from schemas.lease import LeaseTerms
from schemas.state import TaskState
from schemas.todo import ItemState
from tests.acceptance.invariants import check
from tests.acceptance.nodes import embedded, shell
from tests.conftest import need
from tests.doubles.http_server import answer, broken, http_site, in_turn, redirect, rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b"one two three\n" * 100_000


@pytest.fixture(scope="module")
def site():
    with http_site() as site:
        yield site


@pytest.fixture(scope="module")
def inside():
    """A server that no document may reach."""
    with http_site() as inside:
        inside.acts["/secret"] = answer(200, b"secret")
        yield inside


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(site, tmp_path_factory):
    need(shutil.which("bwrap"), "bubblewrap is not installed")
    allowed = {
        "SISYPHUS_HTTP_HOSTS": f"127.0.0.1:{site.port},localhost:{site.port}",
        "SISYPHUS_HTTP_NETWORKS": "127.0.0.1/32",
        "SISYPHUS_HTTP_LIMIT_MB": "2",
    }
    async with embedded(tmp_path_factory.mktemp("http"), terms=LeaseTerms(), **allowed) as system:
        await system.start(1)
        yield system


async def run(engine, inputs, **document):
    commands = [shell("cat /in/* | wc -w > /out/n")]
    outputs = {"sisyphus:n": "/out/n"}
    task_id = await engine.submit(inputs=inputs, outputs=outputs, commands=commands, **document)
    return (await check(engine.cluster, [(await engine.wait(task_id)).id]))[0]


async def test_an_allowed_file_is_an_input_like_others(engine, site):
    """Behind a redirect, from a server that fails at first and breaks in the middle."""
    site.acts["/there"] = in_turn(answer(503), redirect("/data?sig=a%2Fb"))
    site.acts["/data?sig=a%2Fb"] = in_turn(broken(BODY, 1_200_000, ETag='"1"'), rest(BODY, '"1"'))
    record = await run(engine, {site.url("/there"): "/in/words"})
    assert (record.state, record.result) == (TaskState.COMPLETE, "300000"), record.failure


async def test_what_is_not_allowed_ends_before_anything_is_done(engine, site, inside):
    """The sentence names the setting; no other input is fetched, no command runs, nobody is asked."""
    site.asked.clear()
    site.acts["/first"] = answer(200, b"x")
    for url in (inside.url("/secret"), "http://169.254.169.254/latest/meta-data/", "https://localhost/x"):
        record = await run(engine, {site.url("/first"): "/in/a", url: "/in/b"})
        assert (record.state, record.failure.cause) == (TaskState.SYSTEM_ERROR, Cause.INVALID)
        assert record.failure.message.startswith(f"{url}: ")
        assert "not among the allowed hosts; SISYPHUS_HTTP_HOSTS has" in record.failure.message
        assert {x.state for x in record.todos} == {ItemState.PENDING}
        kinds = {e.type for e in await engine.cluster.store.events(record.id)}
        assert not kinds & {EventType.CONTAINER, EventType.TODO, EventType.RETRY}
    assert (site.asked, inside.asked) == ([], [])


@pytest.mark.parametrize(
    ("path", "act", "cause", "words"),
    [
        ("/gone", answer(404), Cause.INPUT_MISSING, "answered 404"),
        ("/closed", answer(403), Cause.INVALID, "credentials"),
        ("/long", answer(200, b"x" * 2_097_153), Cause.INVALID, "SISYPHUS_HTTP_LIMIT_MB"),
    ],
)
async def test_what_cannot_be_had_is_said_once(engine, site, path, act, cause, words):
    """By cause, without another attempt, and before any command."""
    site.acts[path] = act
    record = await run(engine, {site.url(path): "/in/a"})
    assert (record.state, record.failure.cause) == (TaskState.SYSTEM_ERROR, cause)
    assert (record.epoch, site.asked.count(path)) == (1, 1)
    assert words in record.failure.message
    assert record.failure.item == "stage_in:0"


async def test_a_server_in_trouble_is_worth_another_attempt(engine, site):
    """After the tries of one attempt the task waits and is tried again."""
    answers = [answer(500)] * 5
    site.acts["/trouble"] = in_turn(*answers, answer(200, b"a b"))
    record = await run(engine, {site.url("/trouble"): "/in/a"})
    assert (record.state, record.result, record.attempts) == (TaskState.COMPLETE, "2", 1)


async def test_a_redirect_into_the_network_is_refused(engine, site, inside):
    """An allowed server cannot send a node where the document could not."""
    site.acts["/trap"] = redirect(inside.url("/secret"))
    record = await run(engine, {site.url("/trap"): "/in/a"})
    assert (record.state, record.failure.cause) == (TaskState.SYSTEM_ERROR, Cause.INVALID)
    assert f"redirected by 127.0.0.1:{site.port}: 127.0.0.1:{inside.port} is not among" in record.failure.message
    assert inside.asked == []
