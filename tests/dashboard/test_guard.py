"""Who gets past the guard; the application behind it is a recorder."""

import asyncio

import pytest

from queuectl.dashboard.guard import Guard

TOKEN = "a-secret"


def ask(path="/", *, host="127.0.0.1:8501", client="127.0.0.1", cookie=None, query="", kind="http"):
    """Return the status of the answer and its headers; 200 is what the application itself says."""
    answers = []

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        answers.append(message)

    headers = [(b"host", host.encode("latin-1"))] + ([(b"cookie", cookie.encode("latin-1"))] if cookie else [])
    scope = {
        "type": kind,
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "client": None if client is None else (client, 50000),
        "server": ("127.0.0.1", 8501),
    }
    asyncio.run(Guard(application, TOKEN)(scope, None, send))
    first = answers[0]
    if first["type"] == "websocket.close":
        return "closed", {}
    return first["status"], {name.decode(): value.decode() for name, value in first["headers"]}


KNOWN = f"queuectl-8501={TOKEN}"


def test_who_brings_the_secret_is_let_in_and_sent_on_without_it():
    status, headers = ask("/run", query=f"id=r1&token={TOKEN}&tab=Spec")

    assert (status, headers["location"]) == (303, "/run?id=r1&tab=Spec")
    assert headers["set-cookie"] == f"{KNOWN}; Path=/; HttpOnly; SameSite=Strict"
    assert ask("/run", cookie=KNOWN)[0] == 200


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "cookie", [None, "queuectl-8501=wrong", f"queuectl-8502={TOKEN}", "queuectl-8501=\xff", "queuectl-8501", ";=;"]
)
def test_who_does_not_know_the_secret_gets_nothing(kind, cookie):
    assert ask("/_stcore/health", cookie=cookie, kind=kind)[0] in (403, "closed")


@pytest.mark.parametrize("query", ["token=", "token=wrong", "token=%C3%A9", "TOKEN=a-secret", "token"])
def test_a_wrong_secret_in_the_address_is_none(query):
    assert ask(query=query)[0] == 403


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", ["evil.example:8501", "127.0.0.1.evil.example", "192.168.1.5:8501", "", "[::2]:8501"])
def test_a_request_that_calls_this_machine_by_another_name_is_refused(kind, host):
    assert ask("/_stcore/stream", host=host, cookie=KNOWN, kind=kind)[0] in (400, "closed")
    assert ask(host=host, query=f"token={TOKEN}", kind=kind)[0] in (400, "closed")


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:9000", "localhost", "[::1]:8501"])
def test_a_request_may_name_this_machine_in_each_way_it_knows_itself(host):
    assert ask(host=host, cookie=KNOWN)[0] == 200


@pytest.mark.parametrize("client", ["192.168.1.5", "10.0.0.1", "::2", "somewhere", None])
def test_a_request_from_another_machine_is_refused_however_the_server_was_started(client):
    assert ask(client=client, cookie=KNOWN)[0] == 400


def test_the_link_never_leads_to_another_host():
    assert ask("//evil.example", query=f"token={TOKEN}")[1]["location"] == "/evil.example"


@pytest.mark.parametrize("asked", [{"cookie": KNOWN}, {}, {"host": "evil.example"}])
def test_every_answer_forbids_the_browser_to_ask_anybody_else(asked):
    headers = ask(**asked)[1]

    assert "connect-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
