"""Requests over a real socket: retries and deadlines."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiapi_operator.cluster import discovery
from aiapi_operator.cluster.apply import apply, get, list_labelled
from aiapi_operator.cluster.connection import (
    Connection,
    NotConfiguredError,
    Request,
    load_configuration,
)
from aiapi_operator.cluster.errors import Forbidden, TooManyRequests, Unauthorized, Unavailable
from aiapi_operator.cluster.resize import resize
from aiapi_operator.cluster.resources import PODS, SECRETS
from aiapi_operator.cluster.scale import scale

PATH = "/api/v1/namespaces/shop/pods/a"


class Server:
    """Returns prepared answers and records the requests."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.tokens: list[str] = []
        self.seen: list[tuple[str, str]] = []
        self._folder = folder

    async def answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        body = json.loads(text) if text else None
        self.asked.append((request.method, request.path_qs, dict(request.headers), body))
        self.tokens.append(request.headers.get("Authorization", ""))
        status, answer = self.answers.pop(0) if self.answers else (200, {"metadata": {}})
        return web.json_response(answer, status=status)

    def kubeconfig(self, url: str, token: str) -> Path:
        path = self._folder / "kubeconfig"
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        path.write_text(json.dumps(config))
        return path

    async def connect(self, url: str) -> Connection:
        def observe(verb: str, outcome: str, _seconds: float) -> None:
            self.seen.append((verb, outcome))

        return await Connection.open(self.kubeconfig(url, "first"), observer=observe)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Server, Connection, str]]:
    server = Server(tmp_path)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    async with TestServer(app) as listening:
        url = str(listening.make_url("")).rstrip("/")
        connection = await server.connect(url)
        yield server, connection, url
        await connection.close()


Served = tuple[Server, Connection, str]


async def test_retry_after_is_respected(server: Served) -> None:
    api, connection, _ = server
    storage = {"message": "storage is (re)initializing", "details": {"retryAfterSeconds": 1}}
    api.answers = [(429, storage), (503, {}), (200, {"kind": "Pod"})]
    began = time.monotonic()
    assert await connection.send(Request("GET", PATH)) == {"kind": "Pod"}
    assert time.monotonic() - began >= 1.0
    assert api.seen == [("GET", "429"), ("GET", "503"), ("GET", "200")]


async def test_retries_end_at_the_deadline(server: Served) -> None:
    api, connection, _ = server
    api.answers = [(429, {"details": {"retryAfterSeconds": 60}})] * 5
    with pytest.raises(TooManyRequests):
        await connection.send(Request("GET", PATH, deadline=2.0))
    assert len(api.asked) == 1


async def test_a_rejection_is_not_retried(server: Served) -> None:
    api, connection, _ = server
    api.answers = [(403, {"message": "no", "reason": "Forbidden"})]
    with pytest.raises(Forbidden, match="no"):
        await connection.send(Request("GET", PATH))
    assert len(api.asked) == 1


async def test_expired_credentials_are_read_again_once(server: Served) -> None:
    api, connection, url = server
    api.answers = [(401, {})]
    api.kubeconfig(url, "second")
    await connection.send(Request("GET", PATH))
    assert api.tokens == ["Bearer first", "Bearer second"]
    api.answers = [(401, {})] * 2
    with pytest.raises(Unauthorized):
        await connection.send(Request("GET", PATH))


async def test_an_unreachable_api_server_fails_at_the_deadline(
    unused_tcp_port: int, tmp_path: Path
) -> None:
    connection = await Server(tmp_path).connect(f"http://127.0.0.1:{unused_tcp_port}")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer"):
        await connection.send(Request("GET", PATH, deadline=1.0))
    assert time.monotonic() - began < 2.0
    await connection.close()


async def test_each_write_sends_the_expected_request(server: Served) -> None:
    api, connection, _ = server
    secret = {"kind": "Secret", "metadata": {"namespace": "shop", "name": "t"}}
    await apply(connection, secret)
    await scale(connection, "shop", "a", 3)
    await resize(connection, "shop", "a-1", "app", {"requests": {"cpu": "1"}})
    sent = [(method, path, headers["Content-Type"]) for method, path, headers, _ in api.asked]
    manager = "fieldManager=aiapi-operator"
    assert sent == [
        (
            "PATCH",
            f"/api/v1/namespaces/shop/secrets/t?{manager}&force=true&fieldValidation=Strict",
            "application/apply-patch+yaml",
        ),
        (
            "PATCH",
            f"/apis/apps/v1/namespaces/shop/deployments/a/scale?{manager}",
            "application/merge-patch+json",
        ),
        (
            "PATCH",
            f"/api/v1/namespaces/shop/pods/a-1/resize?{manager}",
            "application/strategic-merge-patch+json",
        ),
    ]
    assert api.asked[1][3] == {"spec": {"replicas": 3}}
    container = {"name": "app", "resources": {"requests": {"cpu": "1"}}}
    assert api.asked[2][3] == {"spec": {"containers": [container]}}


async def test_reads(server: Served) -> None:
    api, connection, _ = server
    api.answers = [(404, {}), (200, {"items": [{"metadata": {"name": "a-1"}}]})]
    assert await get(connection, SECRETS, "shop", "t") is None
    (pod,) = await list_labelled(connection, PODS, "shop", "aiapi.dev/name=a")
    assert (pod["kind"], pod["metadata"]["name"]) == ("Pod", "a-1")
    assert api.asked[1][1] == "/api/v1/namespaces/shop/pods?labelSelector=aiapi.dev/name%3Da"


async def test_discovery_finds_the_crd_and_resize(server: Served) -> None:
    api, connection, _ = server
    api.answers = [(404, {}), (200, {"resources": [{"name": "aiapis"}]})]
    assert not await discovery.has_aiapis(connection)
    assert await discovery.has_aiapis(connection)
    api.answers = [(200, {"resources": [{"name": "pods"}, {"name": "pods/resize"}]})]
    assert await discovery.has_resize(connection)


async def test_the_endpoint_has_the_same_credentials(server: Served) -> None:
    _, connection, url = server
    endpoint = await connection.endpoint()
    assert (endpoint.server, endpoint.scheme, endpoint.token) == (url, "Bearer", "first")


async def test_a_missing_kubeconfig_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotConfiguredError):
        await load_configuration(tmp_path / "absent")
