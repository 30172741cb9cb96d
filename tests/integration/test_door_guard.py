"""Who may come in through the HTTP door, and what every answer looks like."""

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from infra.door import build_app
from infra.door_guard import MAX_BODY_BYTES, Guard
from infra.errors import ConfigurationError
from infra.listening import check_exposure, is_loopback, open_socket
from infra.settings import Settings

TOKEN = "a-long-random-word"


def guarded_app(settings):
    """An application with one route of each kind behind the guard."""
    app = FastAPI()

    @app.get("/")
    async def page():
        return "page"

    @app.get("/private")
    @app.post("/private")
    async def private():
        return "private"

    @app.websocket("/ws")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("welcome")
        await websocket.close()

    app.add_middleware(Guard, settings=settings, public={"/", "/assets/"})
    return app


@pytest.fixture
def local():
    """A client of a door on loopback without a token."""
    return TestClient(guarded_app(Settings()), base_url="http://127.0.0.1:8080")


@pytest.fixture
def remote():
    """A client of a door with a token."""
    settings = Settings.model_validate({"token": TOKEN, "host": "0.0.0.0"})
    return TestClient(guarded_app(settings), base_url="http://cluster.example")


def is_problem(answer, status):
    """Whether the answer is a problem document of that status."""
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["status"] == status
        and answer.json()["detail"]
    )


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
def test_loopback_names_are_answered(local, host):
    """The door answers to every name of this machine."""
    assert local.get("/private", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", ""])
def test_a_rebound_name_is_refused(local, host):
    """A page whose name was rebound to 127.0.0.1 gets nothing, not even the public page."""
    assert is_problem(local.get("/", headers={"Host": host}), 421)


def test_a_foreign_page_cannot_write(local):
    """A cross-site form post carries its origin and is refused; the same page of ours may."""
    assert is_problem(local.post("/private", headers={"Origin": "http://evil.example"}), 403)
    assert is_problem(local.post("/private", headers={"Origin": "null"}), 403)
    assert local.post("/private", headers={"Origin": "http://127.0.0.1:8080"}).status_code == 200


def test_a_foreign_page_cannot_open_a_socket(local):
    """Sockets know no same-origin policy of their own, so the origin is checked."""
    with pytest.raises(WebSocketDisconnect), local.websocket_connect("/ws", headers={"Origin": "http://evil.example"}):
        pass
    # The test client calls its host "testserver"; a browser sends the page's own.
    own = {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"}
    with local.websocket_connect("/ws", headers=own) as socket:
        assert socket.receive_text() == "welcome"


def test_nothing_but_the_page_is_open_without_the_token(remote):
    """With a token set, everything but the public paths needs it, and the answer says how to give it."""
    assert remote.get("/").status_code == 200
    answer = remote.get("/private")
    assert is_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert is_problem(remote.post("/"), 401)


@pytest.mark.parametrize("given", ["Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN}x", "Bearer ü"])
def test_a_wrong_token_is_refused(remote, given):
    """Only the whole token in the right scheme opens the door."""
    assert is_problem(remote.get("/private", headers={"Authorization": given.encode("latin-1")}), 401)


def test_the_token_opens_the_door(remote):
    """The scheme's case does not matter, as RFC 9110 has it."""
    assert remote.get("/private", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert remote.get("/private", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_token_in_the_address_is_for_sockets_only(remote):
    """Addresses end in logs and histories; only a browser's socket has no other way."""
    assert is_problem(remote.get(f"/private?token={TOKEN}"), 401)
    with remote.websocket_connect(f"/ws?token={TOKEN}") as socket:
        assert socket.receive_text() == "welcome"
    with pytest.raises(WebSocketDisconnect), remote.websocket_connect("/ws?token=wrong"):
        pass


def test_a_large_body_is_refused_however_it_is_sent(local):
    """The bound holds for an announced length and for chunks without one."""
    body = b"x" * (MAX_BODY_BYTES + 1)
    assert is_problem(local.post("/private", content=body), 413)
    assert is_problem(local.post("/private", content=iter([body[: MAX_BODY_BYTES // 2], body])), 413)
    assert local.post("/private", content=body[:MAX_BODY_BYTES]).status_code == 200


def test_every_answer_has_the_security_headers(local):
    """Pages, refusals and errors alike."""
    for answer in (local.get("/"), local.get("/nothing"), local.post("/", headers={"Origin": "http://evil.example"})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "answer"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_loopback_is_loopback(host, answer):
    """An address that others can reach never counts as this machine's own."""
    assert is_loopback(host) is answer


@pytest.mark.parametrize("token", [None, ""])
def test_a_door_to_the_network_needs_a_token(token):
    """Without one it is refused, with the reason and what to do."""
    with pytest.raises(ConfigurationError, match="SISYPHUS_TOKEN"):
        check_exposure(Settings.model_validate({"host": "0.0.0.0", "token": token}))


def test_a_taken_port_is_one_sentence():
    """The message names the address and what to do."""
    with open_socket("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(ConfigurationError, match="--port"):
            open_socket("127.0.0.1", first.getsockname()[1])


async def test_the_description_is_served_and_no_foreign_script(tmp_path):
    """openapi.json is there and names the error shape; the pages that would load scripts from elsewhere are not."""
    app = build_app(Settings(data=tmp_path), ["tasks"])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        description = (await client.get("/openapi.json")).json()
        assert "/v1/tasks/{task_id}/events" in description["paths"]
        assert "ProblemDetails" in description["components"]["schemas"]
        for path in ("/docs", "/redoc"):
            assert (await client.get(path)).status_code == 404
        assert "http" not in (await client.get("/")).text
