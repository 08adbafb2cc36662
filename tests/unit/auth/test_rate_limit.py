"""Rate limits in memory, and their settings."""

import asyncio

import pytest
from fastapi import Request
from pydantic import ValidationError

from aiapi_service.auth import limit_store, rate_limit
from aiapi_service.auth.authenticator import ANONYMOUS
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.store.limits import LimitResult, Rate
from aiapi_service.store.memory_limits import MemoryLimiter

RATE = Rate(burst=3, seconds=10)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_bucket_allows_its_burst_and_then_refills() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    left = [(await limiter.acquire(RATE, "ann")).left(RATE) for _ in range(3)]
    assert left == [2, 1, 0]
    refused = await limiter.acquire(RATE, "ann")
    assert (refused.wait, refused.left(RATE)) == (10.0, 0)
    assert (await limiter.acquire(RATE, "bob")).wait == 0, "each caller has its own bucket"
    clock.now += 10
    assert (await limiter.acquire(RATE, "ann")).wait == 0
    assert (await limiter.acquire(RATE, "ann")).wait == 10.0


async def test_a_count_is_taken_completely_or_not_at_all() -> None:
    limiter = MemoryLimiter(Clock())
    assert (await limiter.acquire(RATE, "ann", count=2)).left(RATE) == 1
    assert (await limiter.acquire(RATE, "ann", count=2)).wait == 10.0
    assert (await limiter.acquire(RATE, "ann")).left(RATE) == 0


class Stuck:
    """A store that hangs without closing connections."""

    calls = 0
    recovered = asyncio.Event()

    async def acquire(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        self.calls += 1
        await self.recovered.wait()
        return LimitResult(0.0, 0.0)


async def test_one_request_at_a_time_waits_for_a_hanging_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limit_store, "_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(limit_store, "_PAUSE_SECONDS", 0.01)
    store = Stuck()
    limiter = rate_limit.CallerRateLimiter(limit_store.LimitStore(store), limit=60, burst=60)
    request = Request({"type": "http", "client": ("192.0.2.1", 1)})

    async def take(times: int) -> None:
        await asyncio.gather(*(limiter.take(request, ANONYMOUS) for _ in range(times)))

    await take(5)
    assert store.calls == 5, "all came before the first timeout"
    await take(5)
    assert store.calls == 5, "the store is not called during the pause"
    await asyncio.sleep(0.02)
    await take(5)
    assert store.calls == 6
    store.recovered.set()
    await asyncio.sleep(0.02)
    await take(1)
    await take(5)
    assert store.calls == 12, "all requests are counted after recovery"


def test_the_remaining_count_is_never_negative() -> None:
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
def test_an_invalid_redis_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AuthSettings.model_validate({"redis_url": url})
    message = refused.value.errors(include_input=False, include_url=False)[0]["msg"]
    assert message == "Value error, must be a URL such as redis://:password@host:6379/0"


def test_a_burst_above_the_limit_is_refused() -> None:
    with pytest.raises(ValidationError, match="AIAPI_RATE_BURST must not be more"):
        AuthSettings.model_validate({"rate_limit": 10, "rate_burst": 11})
