"""Who may talk to the dashboard: programs on this machine that know its link, and pages of its own.

An address on this machine is open to all its users, and to every page that a browser here shows: a foreign name may be
made to lead to it. So each request, whatever it is for, must come from this machine, name it as it is called here, and
bring the secret of the link; and the browser is told to ask nobody else for anything.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN: Final = secrets.token_urlsafe(24)
"""The secret of this process's link; it is gone with the process."""

HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What this machine is called by itself."""

# Vega compiles its expressions and Streamlit styles its elements in the page: both need to be allowed.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-src 'none'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """Passes on what may pass, and answers the rest itself."""

    def __init__(self, app: Asgi, token: str = TOKEN) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if not _is_here(scope) or _host(headers) not in HOSTS:
            await _refuse(scope, send, 400, "This dashboard answers to this machine only.")
        elif (location := self._greeted(scope)) is not None:
            await self._admit(scope, send, location)
        elif not hmac.compare_digest(_cookie(headers, _cookie_name(scope)), self._token):
            await _refuse(scope, send, 403, "Open the dashboard by the link that `queuectl dashboard` printed.")
        else:
            await self._app(scope, receive, _with_headers(send))

    def _greeted(self, scope: Scope) -> str | None:
        """Return where a request leads that brings the secret in its address; None if it does not."""
        if scope["type"] != "http":
            return None
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not any(
            name == "token" and hmac.compare_digest(value.encode(), self._token.encode()) for name, value in asked
        ):
            return None
        kept = urlencode([(name, value) for name, value in asked if name != "token"])
        path = "/" + str(scope["path"]).lstrip("/")  # `//name` would lead to another host
        return f"{path}?{kept}" if kept else path

    async def _admit(self, scope: Scope, send: Send, location: str) -> None:
        cookie = f"{_cookie_name(scope)}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", location.encode()), (b"set-cookie", cookie.encode()), *_HEADERS]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _is_here(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _host(headers: Mapping[bytes, str]) -> str:
    """Return the name by which a request called this machine, without the port."""
    host = headers.get(b"host", "")
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _cookie_name(scope: Scope) -> str:
    """Return a name of this port's own: cookies are not kept apart by port."""
    return f"queuectl-{scope['server'][1]}"


def _cookie(headers: Mapping[bytes, str], name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get(b"cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel and morsel.value.isascii() else ""


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await send(message)

    return sent
