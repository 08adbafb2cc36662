"""Other paths below /v1, behind a scope of their own; HEAD; and calls from web pages."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_support.server import CHAT, QUESTION, gateway, problem, serving, settings, upstreams
from gateway_support.upstream import StandIn, refusal

from aiapi_service.auth import key_file, keys


def key_headers(folder: Path, *scopes: str) -> tuple[Path, dict[str, str]]:
    key = keys.new_key()
    entry = key_file.entry(key, subject="ann", tenant="ann", scopes=frozenset(scopes), expires=None)
    path = folder / "keys.json"
    path.write_text(json.dumps({"keys": [entry]}))
    return path, {"Authorization": f"Bearer {key.text}"}


@pytest.mark.parametrize(("scope", "status"), [("chat", 403), ("pass-through", 201)])
async def test_it_needs_its_own_scope(
    upstream: StandIn, tmp_path: Path, scope: str, status: int
) -> None:
    path, headers = key_headers(tmp_path, scope)
    gateway_settings = settings(
        upstreams=upstream.url, auth="on", auth_api_keys_file=path, data_dir=tmp_path
    )
    async with (
        serving(gateway_settings) as base,
        aiohttp.ClientSession(base) as client,
        client.get("/v1/files", headers=headers) as answer,
    ):
        assert answer.status == status
    assert len(upstream.requests) == (status == 201)


async def test_a_request_and_its_response_pass_unchanged(upstream: StandIn) -> None:
    config = upstreams(upstream.url, api_key="s3cret")
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Authorization": "Bearer mine"}
    path = "/v1/files?purpose=a%20b&x"
    async with (
        gateway(upstreams=config) as client,
        client.post(path, data=b"--x\x00--", headers=headers) as answer,
    ):
        assert (answer.status, answer.content_type) == (201, "audio/mpeg")
        assert await answer.read() == b"\x00\xff--x\x00--"
        assert "Set-Cookie" not in answer.headers
    (request,) = upstream.requests
    assert request.path_qs == path
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.headers["Content-Type"] == headers["Content-Type"]


async def test_the_model_of_a_body_selects_the_upstream(upstream: StandIn, second: StandIn) -> None:
    config = json.dumps(
        [
            {"url": upstream.url, "kinds": ["chat"]},
            {"url": second.url, "models": {"m": "their-name"}},
        ]
    )
    async with gateway(upstreams=config) as client:
        for body in ({"model": "m", "query": "x"}, {"x": 1}):
            async with client.post("/v1/rerank", json=body) as answer:
                assert answer.status == 201
        async with client.post("/v1/rerank", json={"model": "none"}) as answer:
            assert (await problem(answer))["status"] == 404
    assert upstream.requests == []
    assert [json.loads(raw) for raw in second.raw] == [
        {"model": "their-name", "query": "x"},
        {"x": 1},
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/%2e%2e/admin",
        "/v1/files/..%2fadmin",
        "/v1/files/%2e/x",
        "/v1/a//b",
        "/v1/auth/other",
        "/v1/documents/a/b",
        "/v1/x%0d%0ay",
        "/v1/",
    ],
)
async def test_an_odd_or_own_path_is_not_passed_on(upstream: StandIn, path: str) -> None:
    async with gateway(upstreams=upstream.url) as client:
        base = client._base_url
        assert base is not None
        url = f"http://{base.host}:{base.port}{path}"
        async with client.get(aiohttp.client.URL(url, encoded=True)) as answer:
            assert (await problem(answer))["status"] == 404
    assert upstream.requests == []


async def test_a_known_path_with_another_method_is_not_passed_on(upstream: StandIn) -> None:
    async with gateway(upstreams=upstream.url) as client, client.delete(CHAT) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert upstream.requests == []


@pytest.mark.parametrize(("sent", "status"), [({"a": [{}] * 60_000}, 422), ("{", 400), ([1], 422)])
async def test_a_json_body_is_bounded(upstream: StandIn, sent: Any, status: int) -> None:
    raw = sent if isinstance(sent, str) else json.dumps(sent)
    headers = {"Content-Type": "application/json"}
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post("/v1/other", data=raw, headers=headers) as answer,
    ):
        assert (await problem(answer))["status"] == status
    assert upstream.requests == []


async def test_errors_of_the_upstream_are_problems(upstream: StandIn) -> None:
    upstream.always = refusal(404, "No such file")
    async with gateway(upstreams=upstream.url) as client, client.get("/v1/files/a") as answer:
        details = await problem(answer)
    assert (details["status"], details["detail"]) == (404, "No such file")


async def test_head_is_answered_without_a_body(upstream: StandIn) -> None:
    async with gateway(upstreams=upstream.url) as client:
        for path, status in (
            ("/", 200),
            ("/v1/models", 200),
            ("/docs", 200),
            ("/openapi.json", 200),
            ("/v1/models/none", 404),
            (CHAT, 405),
        ):
            async with client.get(path) as answer:
                length = len(await answer.read())
            async with client.head(path) as answer:
                assert (answer.status, await answer.read()) == (status, b"")
                assert int(answer.headers["Content-Length"]) == length


async def test_a_web_page_of_an_allowed_origin_may_call(upstream: StandIn) -> None:
    page = {"Origin": "https://chat.example.com"}
    preflight = {
        **page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    async with gateway(upstreams=upstream.url, cors_origins="https://chat.example.com") as client:
        async with client.options(CHAT, headers=preflight) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
            assert "x-stainless-lang" in answer.headers["Access-Control-Allow-Headers"]
            assert "Access-Control-Allow-Credentials" not in answer.headers
        async with client.post(CHAT, json=QUESTION, headers=page) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
        async with client.post(CHAT, json={}, headers=page) as answer:
            assert answer.status == 422
            assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
        other = {**preflight, "Origin": "https://other.example.com"}
        async with client.options(CHAT, headers=other) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
    async with (
        gateway(upstreams=upstream.url) as client,
        client.post(CHAT, json=QUESTION, headers=page) as answer,
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers, "off by default"
