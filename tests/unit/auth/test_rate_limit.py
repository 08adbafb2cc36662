"""Buckets in memory, and the settings of limits."""

import asyncio

import pytest
from fastapi import Request
from pydantic import ValidationError

from aiapi_service.auth import rate_limit
from aiapi_service.auth.authenticator import ANONYMOUS
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.store.limits import LimitResult, Rate
from aiapi_service.store.memory_limits import MemoryLimiter

RATE = Rate(burst=3, seconds=10)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_bucket_gives_its_burst_and_then_one_each_so_often() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    left = [(await limiter.ask(RATE, "ann")).left(RATE) for _ in range(3)]
    assert left == [2, 1, 0]
    refused = await limiter.ask(RATE, "ann")
    assert (refused.wait, refused.left(RATE)) == (10.0, 0)
    assert (await limiter.ask(RATE, "bob")).wait == 0, "a bucket is one caller's"
    clock.now += 10
    assert (await limiter.ask(RATE, "ann")).wait == 0
    assert (await limiter.ask(RATE, "ann")).wait == 10.0


async def test_several_are_taken_together_or_not_at_all() -> None:
    limiter = MemoryLimiter(Clock())
    assert (await limiter.ask(RATE, "ann", count=2)).left(RATE) == 1
    assert (await limiter.ask(RATE, "ann", count=2)).wait == 10.0
    assert (await limiter.ask(RATE, "ann")).left(RATE) == 0


class Stuck:
    """A store that has stopped answering, without closing a connection."""

    asked = 0
    back = asyncio.Event()

    async def ask(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        self.asked += 1
        await self.back.wait()
        return LimitResult(0.0, 0.0)


async def test_one_request_at_a_time_waits_for_a_store_that_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limit, "_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(rate_limit, "_REST_SECONDS", 0.01)
    store = Stuck()
    made = rate_limit.CallerRateLimiter(store, limit=60, burst=60)
    request = Request({"type": "http", "client": ("192.0.2.1", 1)})

    async def take(times: int) -> None:
        await asyncio.gather(*(made.take(request, ANONYMOUS) for _ in range(times)))

    await take(5)
    assert store.asked == 5, "they came before anybody knew"
    await take(5)
    assert store.asked == 5, "it is left alone for a moment"
    await asyncio.sleep(0.02)
    await take(5)
    assert store.asked == 6
    store.back.set()
    await asyncio.sleep(0.02)
    await take(1)
    await take(5)
    assert store.asked == 12, "once it is back everybody is counted"


def test_what_is_left_is_never_less_than_nothing() -> None:
    assert LimitResult(5.0, 45.0).left(RATE) == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://host",
        "redis://:p/ss@host:6379",
        "redis://:secret@host:port",
        "redis://:secret@host/0?nonsense=1",
        "redis://:secret@host/0?db=x",
    ],
)
def test_a_url_that_is_no_redis_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AuthSettings.model_validate({"redis_url": url})
    told = refused.value.errors(include_input=False, include_url=False)[0]["msg"]
    assert told == "Value error, must be a URL such as redis://:password@host:6379/0"


def test_a_burst_above_the_limit_is_a_contradiction() -> None:
    with pytest.raises(ValidationError, match="AIAPI_RATE_BURST must not be more"):
        AuthSettings.model_validate({"rate_limit": 10, "rate_burst": 11})
