"""What every request must pass before the server looks at it: host, token, size; and what every answer carries."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY = 256 * 1024
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'"  # policy of answers that are no page


class Guard:
    """An ASGI app behind checks: a known Host, the token as first part of the path, a body of bounded size.

    A foreign Host gets 421, a missing or wrong token 404 (nothing tells that there is something), a large body 413.
    """

    def __init__(self, app: App, token: str, hosts: Mapping[str, None], most_body: int = MOST_BODY) -> None:
        self.app, self.token, self.hosts, self.most_body = app, token, hosts, most_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host", "").lower() not in self.hosts:
            return await _refuse(send, 421, "This server answers to its own address only.")
        origin = headers.get("origin", "")
        if origin and origin.partition("//")[2].lower() not in self.hosts:
            return await _refuse(send, 403, "Requests from other sites are not answered.")
        first, _, rest = scope["path"].lstrip("/").partition("/")
        if not hmac.compare_digest(first.encode(), self.token.encode()):
            return await _refuse(send, 404, "There is nothing here; open the address that respine printed.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.most_body:
            return await _refuse(send, 413, f"A request holds at most {self.most_body // 1024} kB.")
        scope = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        body = await _whole(receive, self.most_body)
        if body is None:
            return await _refuse(send, 413, f"A request holds at most {self.most_body // 1024} kB.")
        await self.app(scope, _again(body, receive), _with_headers(send))


async def _whole(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None where it is longer than that, whatever it said of itself."""
    parts: list[bytes] = []
    seen = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        seen += len(parts[-1])
        if seen > most:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read, then whatever comes after it."""
    given = False

    async def replayed() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name.decode().lower() for name, _ in message.get("headers", [])}
            more = HEADERS | ({} if "content-security-policy" in own else {"content-security-policy": NOTHING})
            message["headers"] = [
                *message.get("headers", []),
                *((n.encode(), v.encode()) for n, v in more.items() if n not in own),
            ]
        await send(message)

    return sent


async def _refuse(send: Send, status: int, why: str) -> None:
    import json

    body = json.dumps({"error": why}).encode()
    head = {**HEADERS, "content-security-policy": NOTHING, "content-type": "application/json", "content-length": str(len(body)),
            "connection": "close"}  # fmt: skip
    pairs = [(name.encode(), value.encode()) for name, value in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
