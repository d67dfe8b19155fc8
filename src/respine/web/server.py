"""The loopback server beside the page: the same page, and what needs the machine."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from respine.errors import InputError
from respine.study.schema import json_schema
from respine.web import api
from respine.web.guard import Guard
from respine.web.jobs import Busy, Jobs, Overtaken
from respine.web.openapi import description
from respine.web.page import Page, page
from respine.web.payload import payload
from respine.web.scenes import Scene, names, of_study, scene_of

FIRST_SCENE = "treatment-resistant"
EXTRA = "The server needs starlette and uvicorn; install them with: pip install 'respine[web]'"


def application(token: str, hosts: list[str], scene: Any = FIRST_SCENE, jobs: Jobs | None = None) -> Guard:
    """The ASGI application; ``hosts`` are the Host headers it answers to. Raises InputError where the scene cannot be shown."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    work, first = jobs or Jobs(), scene_of(scene)
    about = description(token)

    def shown(made: Page) -> Response:
        return HTMLResponse(made.text, headers={"content-security-policy": made.policy + "; frame-ancestors 'none'"})

    @lru_cache(maxsize=16)
    def kept(name: str) -> Page:
        return _page(first if not name else scene_of(name), token)

    async def start(request: Request) -> Response:
        return shown(await work.run("", lambda stop: kept("")))

    async def of_scene(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in names():
            return JSONResponse({"error": f"There is no scene of this name; scenes are {', '.join(names())}."}, 404)
        return shown(await work.run("", lambda stop: kept(name)))

    async def scenes(request: Request) -> Response:
        return JSONResponse(
            [{"name": name, "title": (scene := scene_of(name)).title, "question": scene.question} for name in names()]
        )

    async def openapi(request: Request) -> Response:
        return JSONResponse(about)

    async def schema(request: Request) -> Response:
        return JSONResponse(json_schema())

    def answering(kind: str, compute: Callable[[dict[str, Any], Any], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return JSONResponse({"error": "Send JSON, with content-type application/json."}, 415)
            try:
                body = json.loads(await request.body(), parse_constant=_no_number)
            except (ValueError, RecursionError):
                return JSONResponse({"error": "This is no JSON."}, 400)
            if not isinstance(body, dict):
                return JSONResponse({"error": "Send a JSON object."}, 400)
            who = body.get("reader")
            reader = f"{kind} {who[:64]}" if isinstance(who, str) and who else ""
            try:
                result = await work.run(reader, lambda stop: compute(body, stop), request.is_disconnected)
            except Overtaken:
                return JSONResponse({"error": "Overtaken by a newer question."}, 409)
            except Busy:
                return JSONResponse(
                    {"error": "Many questions wait; try again in a moment."}, 429, headers={"retry-after": "2"}
                )
            except InputError as mistake:
                return JSONResponse(
                    {"error": str(mistake), "problems": [vars(problem) for problem in mistake.problems]}, 422
                )
            return shown(result) if isinstance(result, Page) else JSONResponse(result)

        return answer

    routes = [
        Route("/", start), Route("/scene/{name}", of_scene), Route("/openapi.json", openapi), Route("/schema.json", schema),
        Route("/api/scenes", scenes),
        Route("/api/check", answering("check", lambda body, stop: api.check(body)), methods=["POST"]),
        Route("/api/typical", answering("typical", api.typical), methods=["POST"]),
        Route("/api/trial", answering("trial", api.trial), methods=["POST"]),
        Route("/api/power", answering("power", api.power), methods=["POST"]),
        Route("/api/page", answering("page", lambda body, stop: _page(of_study(api.study_of(body)), token)), methods=["POST"]),
    ]  # fmt: skip
    return Guard(Starlette(routes=routes), token, dict.fromkeys(host.lower() for host in hosts))


def _page(scene: Scene, token: str) -> Page:
    return page(payload(scene), server=json.dumps({"token": token}))


def _no_number(word: str) -> None:
    raise ValueError(word)


def serve(
    scene: Any = FIRST_SCENE, host: str = "127.0.0.1", port: int = 0, announce: Callable[[str], None] = print
) -> None:
    """Serve the page until it is stopped; ``told`` is called with the address. Raises InputError, ImportError."""
    try:
        import uvicorn
    except ImportError:
        raise ImportError(EXTRA) from None
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(18)
    shown = f"[{host}]" if ":" in host else host
    hosts = [
        f"{name}:{port}"
        for name in {shown, *(("localhost", "127.0.0.1") if host in ("127.0.0.1", "localhost") else ())}
    ]
    app = application(token, hosts, scene)
    listening.listen(128)  # from here on a browser waits for its answer, however long the rest takes to begin
    announce(f"http://{shown}:{port}/{token}/")
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=5,
                            limit_concurrency=200, h11_max_incomplete_event_size=32 * 1024)  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])
