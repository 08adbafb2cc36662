"""Lists and watches over a real socket, against a server that follows a script."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from engine_support.live import eventually

from aiapi_operator.cluster import watch as module
from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.resources import PODS
from aiapi_operator.cluster.watch import Listed, ListWatch

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


def pod(name: str, version: str) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name, "uid": name, "resourceVersion": version}}


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": pod(name, version)}


def page(version: str, *names: str, following: str = "") -> Step:
    items = [{"metadata": pod(name, version)["metadata"]} for name in names]
    body = {"metadata": {"resourceVersion": version, "continue": following}, "items": items}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    return answer


def refused(status: int, body: dict[str, Any]) -> Step:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


def events(*given: dict[str, Any], drop: bool = False, tail: bytes = b"") -> Step:
    """A watch that delivers events and ends; ``drop`` breaks the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for each in given:
            await response.write(json.dumps(each).encode() + b"\n")
        await response.write(tail or b"")
        if drop and request.transport is not None:
            await asyncio.sleep(0.05)
            request.transport.abort()
        return response

    return answer


async def silence(request: web.Request) -> web.StreamResponse:
    """A watch without events."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.sleep(30)
    return response


@dataclass
class Script:
    """Answers in turn, and then silence."""

    steps: list[Step] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        self.tokens.append(request.headers.get("Authorization", ""))
        return await (self.steps.pop(0) if self.steps else silence)(request)

    @property
    def continued(self) -> list[str]:
        """For each request: the page, the version a watch starts from, or "list"."""
        return [each.get("continue") or each.get("resourceVersion", "list") for each in self.asked]


@dataclass
class Seen:
    """What the sink was given."""

    calls: list[str] = field(default_factory=list)
    lists: list[Listed] = field(default_factory=list)

    def on_child_update(self, manifest: dict[str, Any]) -> None:
        assert manifest["kind"] == "Pod"
        if manifest["metadata"]["name"] == "odd":
            raise KeyError("spec")
        self.calls.append(manifest["metadata"]["name"])

    def on_child_delete(self, manifest: dict[str, Any]) -> None:
        self.calls.append("-" + manifest["metadata"]["name"])

    def on_list(self, listed: Listed) -> None:
        self.lists.append(listed)


@asynccontextmanager
async def watching(
    script: Script, folder: Path, namespace: str | None = None
) -> AsyncIterator[tuple[Seen, ListWatch]]:
    app = web.Application()
    app.router.add_route("GET", "/{tail:.*}", script.answer)
    async with TestServer(app) as server:
        user = {"name": "u", "user": {"token": "first"}}
        cluster = {"name": "c", "cluster": {"server": str(server.make_url("")).rstrip("/")}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        file = folder / "kubeconfig"
        config = {"current-context": "c", "contexts": [context], "clusters": [cluster]}
        file.write_text(json.dumps({**config, "users": [user]}))
        connection, seen = await Connection.open(file), Seen()
        listwatch = ListWatch(connection, PODS, namespace, seen)
        file.write_text(
            json.dumps({**config, "users": [{"name": "u", "user": {"token": "second"}}]})
        )
        task = asyncio.create_task(listwatch.run())
        try:
            yield seen, listwatch
        finally:
            task.cancel()
            await asyncio.wait([task])
            await connection.close()


async def asked(script: Script, count: int) -> None:
    async def holds() -> bool:
        return len(script.asked) >= count

    await eventually(holds, what=f"{count} requests")


async def test_pages_are_joined_and_the_watch_starts_at_the_first(tmp_path: Path) -> None:
    script = Script([page("10", "a", "b", following="next"), page("12", "c")])
    async with watching(script, tmp_path, "shop") as (seen, listwatch):
        assert listwatch.problem == "listing pods"
        await asked(script, 3)
        assert seen.calls == ["a", "b", "c"]
        assert listwatch.listed.is_set()
        assert listwatch.problem == ""
    assert seen.lists == [Listed("Pod", "shop", "10", frozenset("abc"))]
    assert script.continued == ["list", "next", "10"]
    assert [each.get("limit") for each in script.asked] == ["500", "500", None]
    selector = "app.kubernetes.io/managed-by=aiapi-operator"
    assert {each["labelSelector"] for each in script.asked} == {selector}
    assert script.asked[2]["allowWatchBookmarks"] == "true"
    assert 60 <= int(script.asked[2]["timeoutSeconds"]) <= 90


async def test_an_expired_page_starts_the_list_again(tmp_path: Path) -> None:
    script = Script([page("10", "a", following="next"), refused(410, GONE), page("20", "b")])
    async with watching(script, tmp_path) as (seen, _):
        await asked(script, 4)
    assert script.continued == ["list", "next", "list", "20"]
    assert [listed.uids for listed in seen.lists] == [frozenset("b")]


async def test_a_watch_continues_from_the_last_event_or_bookmark(tmp_path: Path) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "15"}}}
    first = events(event("ADDED", "b", "11"), event("DELETED", "a", "12"))
    script = Script([page("10", "a"), first, events(bookmark)])
    async with watching(script, tmp_path) as (seen, _):
        await asked(script, 4)
        assert seen.calls == ["a", "b", "-a"]
    assert script.continued == ["list", "10", "12", "15"]


@pytest.mark.parametrize(
    "answer",
    [
        refused(410, GONE),
        events({"type": "ERROR", "object": GONE}),
        refused(504, {"message": "Too large resource version"}),
        events(tail=b"{not json}\n"),
        events(tail=b"x" * 2**23 + b"\n"),
    ],
)
async def test_a_version_that_is_not_served_any_more_lists_again(
    tmp_path: Path, answer: Step
) -> None:
    script = Script([page("10", "a", "b"), answer, page("20", "b")])
    async with watching(script, tmp_path) as (seen, _):
        await asked(script, 4)
    assert script.continued == ["list", "10", "list", "20"]
    assert [listed.uids for listed in seen.lists] == [frozenset("ab"), frozenset("b")]


@pytest.mark.parametrize(
    "answer",
    [
        events(event("ADDED", "b", "11"), drop=True),
        events(event("ADDED", "b", "11"), tail=b'{"type":"ADD'),
    ],
)
async def test_a_lost_connection_is_resumed(tmp_path: Path, answer: Step) -> None:
    script = Script([page("10", "a"), answer])
    async with watching(script, tmp_path) as (seen, listwatch):
        await asked(script, 3)
        assert seen.calls == ["a", "b"]
        assert listwatch.problem == ""
    assert script.continued == ["list", "10", "11"]


async def test_a_silent_connection_counts_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_SHORTEST": 0, "_LONGEST": 0, "_GRACE": 0.2}.items():
        monkeypatch.setattr(module, name, value)
    script = Script([page("10", "a")])
    async with watching(script, tmp_path):
        await asked(script, 3)
    assert script.continued[:3] == ["list", "10", "10"]


async def test_expired_credentials_are_renewed(tmp_path: Path) -> None:
    script = Script([page("10"), refused(401, {"message": "Unauthorized"})])
    async with watching(script, tmp_path):
        await asked(script, 3)
    assert script.continued == ["list", "10", "10"]
    assert script.tokens == ["Bearer first", "Bearer first", "Bearer second"]


async def test_the_reason_is_known_while_objects_cannot_be_listed(tmp_path: Path) -> None:
    script = Script([refused(403, {"message": "pods is forbidden"}), page("10")])
    async with watching(script, tmp_path) as (_, listwatch):

        async def is_known() -> bool:
            return listwatch.problem == "cannot list /api/v1/pods: pods is forbidden"

        await eventually(is_known, what="the reason is known")
        await asked(script, 2)


async def test_an_odd_object_does_not_keep_others_away(tmp_path: Path) -> None:
    script = Script([page("10", "odd", "a"), events(event("ADDED", "odd", "11"))])
    async with watching(script, tmp_path) as (seen, _):
        await asked(script, 3)
        assert seen.calls == ["a"]
    assert script.continued == ["list", "10", "11"]


async def test_a_large_page_does_not_block_the_loop(tmp_path: Path) -> None:
    padding = {"status": {"conditions": [{"type": str(i), "status": "True"} for i in range(150)]}}
    items = [{**pod(f"p{number}", "1"), **padding} for number in range(500)]
    body = json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()
    longest = 0.0

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    async def measure() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with watching(Script([answer]), tmp_path) as (_, listwatch):
        measuring = asyncio.create_task(measure())
        async with asyncio.timeout(10):
            await listwatch.listed.wait()
        measuring.cancel()
    assert len(body) > 2_500_000
    assert longest < 0.05
