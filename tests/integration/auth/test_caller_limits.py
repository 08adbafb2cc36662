"""Rate limits of callers in Redis, in Postgres and in the memory of a worker."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_support.server import CHAT, QUESTION, serving, settings
from gateway_support.upstream import stand_in
from runtime_support.pod import until
from store_support.gateway import gateway
from store_support.redis import PASSWORD, RedisServer, redis_server

from aiapi_service.auth import key_file, keys
from aiapi_service.auth.principal import ALL_SCOPES
from aiapi_service.auth.rate_limit import CHECKS
from aiapi_service.store.database import open_database
from aiapi_service.store.limits import PostgresLimiter, Rate, RateLimiter
from aiapi_service.store.redis_limits import open_redis
from aiapi_service.store.settings import StoreSettings

SCARCE: dict[str, Any] = {"rate_limit": 2}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@asynccontextmanager
async def _buckets(kind: str, url: str, redis: RedisServer) -> AsyncIterator[RateLimiter]:
    if kind == "redis":
        async with open_redis(redis.url, "test", seconds=20) as limiter:
            yield limiter
        return
    async with open_database(StoreSettings.model_validate({"database_url": url})) as database:
        assert database is not None
        yield PostgresLimiter(database)


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_concurrent_requests_on_two_pods_share_one_burst(
    kind: str, redis: RedisServer, database_url: str
) -> None:
    await redis.start()
    rate = Rate(burst=7, seconds=1000)
    async with (
        _buckets(kind, database_url, redis) as one,
        _buckets(kind, database_url, redis) as other,
    ):
        attempts = [pod.acquire(rate, "ann") for pod in (one, other) * 20]
        results = await asyncio.gather(*attempts)
        granted = [one.left(rate) for one in results if not one.wait]
        assert sorted(granted) == [0, 1, 2, 3, 4, 5, 6]
        assert {round(one.wait, -1) for one in results if one.wait} == {1000.0}
        several = await one.acquire(rate, "bob", count=5)
        assert (several.wait, several.left(rate)) == (0, 2)
        assert round((await other.acquire(rate, "bob", count=4)).wait, -1) == 2000.0
        fast = Rate(burst=1, seconds=0.2)
        assert (await one.acquire(fast, "eve")).wait == 0
        wait = (await other.acquire(fast, "eve")).wait
        assert 0 < wait <= 0.2
        await asyncio.sleep(wait)
        assert (await one.acquire(fast, "eve")).wait == 0


def _keys(folder: Path, *names: str) -> tuple[Path, list[dict[str, str]]]:
    """A file with a key for each caller, and the headers that carry them."""
    made = [keys.new_key() for _ in names]
    entries = [
        key_file.entry(key, subject=name, tenant=name, scopes=ALL_SCOPES, expires=None)
        for name, key in zip(names, made, strict=True)
    ]
    path = folder / "keys.json"
    path.write_text(json.dumps({"keys": entries}))
    return path, [{"Authorization": f"Bearer {key.text}"} for key in made]


@asynccontextmanager
async def _pods(count: int, **given: Any) -> AsyncIterator[list[aiohttp.ClientSession]]:
    """Separate gateways with one upstream."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(stand_in())
        sessions = []
        for _ in range(count):
            gateway_settings = settings(**{"upstreams": upstream.url, **SCARCE, **given})
            base = await stack.enter_async_context(serving(gateway_settings))
            sessions.append(await stack.enter_async_context(aiohttp.ClientSession(base)))
        yield sessions


async def _chat(
    pod: aiohttp.ClientSession, headers: Any = None, path: str = CHAT, body: Any = None
) -> aiohttp.ClientResponse:
    answer = await pod.post(path, json=body or QUESTION, headers=headers)
    await answer.read()
    return answer


async def _status(request: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> int:
    """Of a response whose body does not matter."""
    async with request as answer:
        return answer.status


def _limit_header(answer: aiohttp.ClientResponse) -> tuple[int, int]:
    found = re.fullmatch(r'"caller";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert found is not None
    return int(found[1]), int(found[2])


async def test_the_limit_of_a_caller_applies_across_pods_and_is_in_each_response(
    tmp_path: Path, redis: RedisServer
) -> None:
    await redis.start()
    path, (ann, bob) = _keys(tmp_path, "ann", "bob")
    shared = {"auth": "on", "auth_api_keys_file": path, "redis_url": redis.url}
    async with _pods(2, data_dir=tmp_path, **shared) as (one, other):
        first, second = await _chat(one, ann), await _chat(other, ann)
        assert (first.status, second.status) == (200, 200)
        assert first.headers["RateLimit-Policy"] == '"caller";q=2;w=60'
        assert _limit_header(first) == (1, pytest.approx(30, abs=5))
        assert _limit_header(second) == (0, pytest.approx(60, abs=5))
        refused = await _chat(one, ann)
        assert refused.status == 429
        wait = int(refused.headers["Retry-After"])
        assert wait == pytest.approx(30, abs=5)
        assert _limit_header(refused) == (0, pytest.approx(60, abs=5))
        details = await refused.json()
        assert details["type"] == "urn:aiapi:problem:too-many-requests"
        assert details["detail"] == f"The limit is 2 requests a minute. Retry in {wait} s."
        assert details["error"]["type"] == "rate_limit_error"
        body = {"model": "m", "input": "x"}
        assert await _status(other.post("/v1/embeddings", json=body, headers=ann)) == 429
        assert await _status(other.get("/v1/models", headers=ann)) == 200, (
            "listing models is not limited"
        )
        assert await _status(other.get("/v1/auth/me", headers=ann)) == 200
        assert (await _chat(other, bob)).status == 200, "each caller has its own limit"


async def test_during_a_redis_outage_requests_are_served_with_one_warning(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    uncounted = CHECKS.labels("uncounted")
    before = uncounted.values[0]
    with caplog.at_level(logging.DEBUG):
        async with _pods(1, redis_url=redis.url) as (pod,):
            assert [(await _chat(pod)).status for _ in range(4)] == [200] * 4
            assert uncounted.values[0] == before + 4
            await redis.start()

            async def counts_again() -> bool:
                return (await _chat(pod)).status == 429

            await until(counts_again)
            redis.kill()
            assert {(await _chat(pod)).status for _ in range(3)} == {200}
    warnings = [one.message for one in caplog.records if "uncounted" in one.message]
    assert len(warnings) == 1, "once a minute"
    assert warnings[0].startswith(
        "rate limit store not available, serving requests uncounted: Redis is not available: "
    )
    assert PASSWORD not in caplog.text


async def test_a_fan_out_counts_as_its_items_and_succeeds_after_retry_after(
    redis: RedisServer,
) -> None:
    await redis.start()
    body: dict[str, Any] = {"model": "m", "prompts": ["x"] * 5}
    async with _pods(1, redis_url=redis.url, rate_limit=600, rate_burst=8) as (pod,):
        assert await _status(pod.post("/v1/fanout", json=body)) == 200
        async with pod.post("/v1/fanout", json=body) as refused:
            assert refused.status == 429
        await asyncio.sleep(int(refused.headers["Retry-After"]))
        assert await _status(pod.post("/v1/fanout", json=body)) == 200
        await asyncio.sleep(1)
        body["prompts"] *= 4
        assert await _status(pod.post("/v1/fanout", json=body)) == 200, (
            "never counted as more than the burst"
        )


async def test_without_redis_the_database_counts_answers_and_documents(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        gateway(tmp_path, database_url, **SCARCE) as one,
        gateway(tmp_path, database_url, **SCARCE) as other,
    ):
        key = await one.key()
        async with one.client(key) as here, other.client(key) as there:
            assert (await here.post("/v1/answer", json={"question": "x"})).status_code == 200
            assert (await there.get("/v1/documents")).status_code == 200
            refused = await here.post("/v1/answer", json={"question": "x"})
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) == pytest.approx(30, abs=5)
            assert (
                (await there.get("/v1/documents")).headers["RateLimit"].startswith('"caller";r=0')
            )


async def test_without_a_store_a_worker_counts_by_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with _pods(1) as (pod,):
        assert [(await _chat(pod)).status for _ in range(3)] == [200, 200, 429]
    assert "AIAPI_RATE_LIMIT applies to each worker separately" in caplog.text


async def test_without_a_limit_responses_have_no_rate_limit_headers() -> None:
    async with _pods(1, rate_limit=0) as (pod,):
        answers = [await _chat(pod) for _ in range(5)]
        assert {one.status for one in answers} == {200}
        assert "RateLimit" not in answers[0].headers


TOKENS = {"rate_limit": 0, "tokens_per_minute": 15, "tokens_per_day": 1000}


@pytest.mark.parametrize("kind", ["redis", "memory"])
async def test_tokens_are_limited_for_a_caller(redis: RedisServer, kind: str) -> None:
    await redis.start()
    shared = {"redis_url": redis.url} if kind == "redis" else {}
    count = 2 if shared else 1
    async with _pods(count, **TOKENS, **shared) as pods:
        assert (await _chat(pods[0])).status == 200, "10 of 15 tokens"
        assert (await _chat(pods[-1])).status == 200, "20 of 15 tokens: 5 are owed"

        async def is_refused() -> bool:
            # The tokens are charged right after the response.
            return (await _chat(pods[0])).status == 429

        await until(is_refused)
        refused = await _chat(pods[0])
        details = await refused.json()
        wait = int(refused.headers["Retry-After"])
        assert details["type"] == "urn:aiapi:problem:too-many-tokens"
        assert details["detail"] == f"The limit is 15 tokens a minute. Retry in {wait} s."
        assert 4 <= wait <= 120, "one token takes 4 s"
        async with pods[0].get("/v1/models") as listed:
            assert listed.status == 200


async def test_the_tokens_of_a_day_are_limited_separately() -> None:
    async with _pods(1, rate_limit=0, tokens_per_minute=1000, tokens_per_day=5) as (pod,):
        assert (await _chat(pod)).status == 200

        async def is_refused() -> bool:
            return (await _chat(pod)).status == 429

        await until(is_refused)
        details = await (await _chat(pod)).json()
        assert details["detail"].startswith("The limit is 5 tokens a day. Retry in ")


async def test_all_ai_routes_count_tokens() -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v1/fanout": {"model": "m", "prompts": ["x"] * 3},
        "/v1/embeddings": {"model": "m", "input": "x" * 100},
        "/v1/responses": {"model": "m", "input": "x"},
        "/v1/completions": {"model": "m", "prompt": "x"},
        CHAT: {**QUESTION, "stream": True},
    }
    for path, body in bodies.items():
        async with _pods(1, rate_limit=0, tokens_per_minute=4) as (pod,):
            assert (await _chat(pod, path=path, body=body)).status == 200

            async def is_refused(pod: aiohttp.ClientSession = pod) -> bool:
                return (await _chat(pod)).status == 429

            await until(is_refused)


async def test_a_stream_that_is_left_early_is_charged_by_an_estimate() -> None:
    async with stand_in() as upstream:
        upstream.pieces = ["x"] * 10_000
        limited = settings(upstreams=upstream.url, tokens_per_minute=100)
        async with serving(limited) as base, aiohttp.ClientSession(base) as client:
            body = {**QUESTION, "messages": [{"role": "user", "content": "word " * 400}]}
            answer = await client.post(CHAT, json={**body, "stream": True})
            await answer.content.readany()
            answer.close()
            await asyncio.wait_for(upstream.cancelled.wait(), 15)
            upstream.pieces = ["x"]

            async def is_refused() -> bool:
                return (await _chat(client)).status == 429

            await until(is_refused)
