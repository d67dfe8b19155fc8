"""The server beside the page: what it refuses, that nobody starves, that newer questions overtake, that nothing breaks it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from respine.library import BUILT_IN
from respine.study import load
from respine.web import server
from respine.web.guard import MOST_BODY
from respine.web.jobs import Busy, Jobs, Overtaken

TOKEN, HOST = "a-token", "127.0.0.1:1234"


@pytest.fixture(scope="module")
def app() -> Any:
    return server.application(TOKEN, [HOST], "rat-under-stress")


def run(story: Any) -> Any:
    """The result of a coroutine, in a thread of its own: the browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, story).result()


def ask(app: Any, method: str, path: str, **settings: Any) -> Any:
    async def once() -> Any:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", timeout=120) as client:
            return await client.request(method, path, **settings)

    return run(once())


def small() -> dict[str, Any]:
    study = load("murrough-2013").to_dict()
    study["visits"] = ["0 h", "24 h"]
    study["endpoints"] = [item for item in study["endpoints"] if item.get("at") in ("24 h", "24.0 h")]
    study.pop("compare")
    return {"schema": "respine/study/1", **study}


# ---- refused ----------------------------------------------------------------------------------------------------------
def test_a_foreign_host_is_refused(app):
    assert ask(app, "GET", f"/{TOKEN}/", headers={"host": "evil.example"}).status_code == 421
    assert ask(app, "GET", f"/{TOKEN}/", headers={"host": "127.0.0.1:99"}).status_code == 421


def test_a_request_of_another_site_is_refused(app):
    assert ask(app, "GET", f"/{TOKEN}/api/scenes", headers={"origin": "https://evil.example"}).status_code == 403
    assert ask(app, "GET", f"/{TOKEN}/api/scenes", headers={"origin": f"http://{HOST}"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/wrong/", "/api/scenes", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/api/scenes"])
def test_without_the_token_there_is_nothing(app, path):
    assert ask(app, "GET", path).status_code == 404


def test_a_large_body_is_refused_before_it_is_read(app):
    head = {"content-type": "application/json", "content-length": str(100 * 1024 * 1024)}
    assert ask(app, "POST", f"/{TOKEN}/api/check", content=b"{}", headers=head).status_code == 413

    async def endless():
        for _ in range(2 * MOST_BODY // 1024):
            yield b" " * 1024

    head = {"content-type": "application/json", "transfer-encoding": "chunked"}
    assert ask(app, "POST", f"/{TOKEN}/api/check", content=endless(), headers=head).status_code == 413


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"{", "application/json", 400), (b"[1]", "application/json", 400), (b"{}", "text/plain", 415), (b'{"study": NaN}', "application/json", 400),
     (b"[" * 100_000, "application/json", 400), (b"{}", "application/json", 422), (b'{"study": {}}', "application/json", 422)],
)  # fmt: skip
def test_what_is_no_study_is_refused_with_its_reason(app, content, kind, status):
    result = ask(app, "POST", f"/{TOKEN}/api/check", content=content, headers={"content-type": kind})
    assert result.status_code == status
    assert result.json()["error"]


@pytest.mark.parametrize(
    "change",
    [{"population": "../../../etc/passwd"}, {"model": "/etc/passwd"}, {"people": "/etc/passwd"}, {"seed": -1}, {"arms": {}},
     {"visits": ["0 h", "90 wk", "5000 wk"]}],
)  # fmt: skip
def test_files_of_the_machine_and_huge_studies_are_refused(app, change):
    result = ask(app, "POST", f"/{TOKEN}/api/check", json={"study": small() | change})
    assert result.status_code == 422
    assert "root:" not in result.text


def test_too_many_people_and_doses_are_refused(app):
    study = small()
    assert ask(app, "POST", f"/{TOKEN}/api/trial", json={"study": study, "subjects": 10**6}).status_code == 422
    study["arms"]["ketamine"]["doses"][0] |= {"every": "1 min", "times": 90_000}
    study["visits"][-1] = "90 d"
    assert ask(app, "POST", f"/{TOKEN}/api/check", json={"study": study}).status_code == 422


# ---- answered ---------------------------------------------------------------------------------------------------------
def test_the_page_comes_with_a_strict_policy(app):
    result = ask(app, "GET", f"/{TOKEN}/")
    policy = result.headers["content-security-policy"]
    assert result.status_code == 200
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "'unsafe-eval'" not in policy
    assert result.headers["x-content-type-options"] == "nosniff"
    assert ask(app, "GET", f"/{TOKEN}/scene/none").status_code == 404
    assert [item["name"] for item in ask(app, "GET", f"/{TOKEN}/api/scenes").json()] == BUILT_IN.names("scenes")


def test_a_study_is_checked_solved_and_simulated(app):
    study = small()
    assert ask(app, "POST", f"/{TOKEN}/api/check", json={"study": study}).json()["arms"] == ["ketamine", "midazolam"]
    curves = ask(
        app, "POST", f"/{TOKEN}/api/typical", json={"study": study, "outputs": ["symptom"], "times": [0, 24]}
    ).json()
    assert curves["arms"]["ketamine"]["symptom"][1] < curves["arms"]["ketamine"]["symptom"][0]
    result = ask(app, "POST", f"/{TOKEN}/api/trial", json={"study": study, "subjects": 40}).json()
    assert {row["arm"] for row in result["endpoints"]} == {"ketamine", "midazolam"}
    sizes = ask(app, "POST", f"/{TOKEN}/api/power", json={"study": study, "n": "40,120"}).json()
    assert {row["n"] for row in sizes["power"]} == {40, 120}, sizes
    page = ask(app, "POST", f"/{TOKEN}/api/page", json={"study": study})
    assert page.text.startswith("<!doctype html>")


@pytest.mark.parametrize("sent", [12, pytest.param(50, marks=pytest.mark.slow)])
def test_many_readers_at_once_are_all_answered(app, sent):
    study = {"study": small(), "outputs": ["symptom"], "times": [0, 24]}

    async def all_at_once() -> list[int]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url=f"http://{HOST}", timeout=200
        ) as client:
            answers = await asyncio.gather(
                *(client.post(f"/{TOKEN}/api/typical", json=study | {"reader": str(k)}) for k in range(sent))
            )
            return [answer.status_code for answer in answers]

    assert run(all_at_once()) == [200] * sent


@pytest.mark.parametrize("seed", range(3))
def test_studies_with_pieces_exchanged_are_answered_or_refused(app, seed):
    """A good study in which values of any kind stand in random places."""
    rng = random.Random(seed)
    junk = [
        None,
        True,
        -1,
        0,
        1e308,
        "",
        "x",
        "\u202e",
        "5 d",
        "-5 d",
        "0.5 mg/kg",
        "1e9 mg",
        [],
        {},
        [[]],
        {"a": 1},
        "ketamine",
        "MADRS",
        "1" * 5000,
    ]

    def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [path, *(place for key, item in inside for place in places(item, (*path, key)))]

    for _ in range(int(os.environ.get("RESPINE_FUZZ", "40")) // 3):
        study = json.loads(json.dumps(small()))
        *above, last = rng.choice([place for place in places(study) if place])
        spot = study
        for key in above:
            spot = spot[key]
        spot[last] = rng.choice(junk)
        subject = rng.choice(["check", "typical", "page", "trial"])
        result = ask(
            app,
            "POST",
            f"/{TOKEN}/api/{subject}",
            json={"study": study, "subjects": 20} if subject == "trial" else {"study": study},
        )
        assert result.status_code in (200, 422), (result.status_code, subject, last, spot[last], result.text[-300:])


# ---- jobs -------------------------------------------------------------------------------------------------------------
def test_a_newer_question_of_the_same_reader_ends_the_older_one():
    async def story() -> list[Any]:
        jobs, begun = Jobs(at_once=1), threading.Event()

        def slow(stop: threading.Event) -> str:
            begun.set()
            assert stop.wait(20)
            raise Overtaken

        older = asyncio.create_task(jobs.run("me", slow))
        await asyncio.to_thread(begun.wait, 20)
        newer = asyncio.create_task(jobs.run("me", lambda stop: "new"))
        return await asyncio.gather(older, newer, return_exceptions=True)

    older, newer = run(story())
    assert isinstance(older, Overtaken)
    assert newer == "new"


def test_a_reader_who_went_away_is_noticed():
    async def story() -> Any:
        async def gone() -> bool:
            return True

        def slow(stop: threading.Event) -> str:
            assert stop.wait(20)
            raise Overtaken

        return await Jobs().run("", slow, gone)

    with pytest.raises(Overtaken):
        run(story())


def test_more_than_the_server_takes_is_told_so():
    async def story() -> list[Any]:
        jobs, go = Jobs(at_once=1, most_waiting=3), threading.Event()
        tasks = [asyncio.create_task(jobs.run("", lambda stop: go.wait(20))) for _ in range(5)]
        await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    result = run(story())
    assert result[:3] == [True] * 3
    assert all(isinstance(item, Busy) for item in result[3:])


# ---- against its own description --------------------------------------------------------------------------------------
def cases(number: int, app: Any) -> None:
    """So many requests made from the OpenAPI description: nothing breaks, nothing hangs, answers are as described."""
    import schemathesis

    about = json.loads(ask(app, "GET", f"/{TOKEN}/openapi.json").text)
    operations = [item.ok() for item in schemathesis.openapi.from_dict(about).get_all_operations()]
    for operation in operations:
        _of_operation(app, about, operation, max(1, number // len(operations)))


def _of_operation(app: Any, about: dict[str, Any], operation: Any, number: int) -> None:
    from hypothesis import HealthCheck, Phase, given, settings

    described = about["paths"][operation.path][operation.method]["responses"]
    kind = {"content-type": "application/json"}

    @given(case=operation.as_strategy())
    @settings(max_examples=number, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def holds(case: Any) -> None:
        body = case.body if isinstance(case.body, dict | list | str | int | float | bool | None) else None
        sent = {} if operation.method == "get" else {"content": json.dumps(body).encode(), "headers": kind}
        result = ask(app, operation.method.upper(), f"/{TOKEN}{operation.path}", **sent)
        assert result.status_code < 500, (result.status_code, result.text[:300], body)
        assert str(result.status_code) in described

    holds()


def test_requests_made_from_the_description_never_break_the_server(app):
    cases(int(os.environ.get("RESPINE_SCHEMATHESIS", "20")), app)


@pytest.mark.slow
def test_many_requests_made_from_the_description_never_break_the_server(app):
    cases(int(os.environ.get("RESPINE_SCHEMATHESIS", "150")), app)
