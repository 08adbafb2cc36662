"""Retry budget, backoff, round robin, usage and hedging."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from aiapi_service.gateway.upstreams import backoff, usage
from aiapi_service.gateway.upstreams.budget import RetryBudget
from aiapi_service.gateway.upstreams.hedge import first_of
from aiapi_service.gateway.upstreams.metering import cost
from aiapi_service.gateway.upstreams.round_robin import WeightedRoundRobin
from aiapi_service.gateway.upstreams.settings import ModelPrice
from aiapi_service.gateway.upstreams.usage import TokenCounts

TODAY = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_budget_has_a_reserve_and_a_ratio() -> None:
    budget = RetryBudget(0.1)
    assert sum(budget.spend() for _ in range(50)) == 10
    for _ in range(100):
        budget.earn()
    assert sum(budget.spend() for _ in range(50)) in (9, 10)
    assert not RetryBudget(0).spend()


def test_pauses_double_with_full_jitter() -> None:
    assert [backoff.pause(n, lambda: 1.0) for n in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    assert backoff.pause(3, lambda: 0.25) == 0.2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("1e99", 86400.0),
        ("nan", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert backoff.retry_after(value, "", TODAY) == seconds


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [("250", 0.25), ("0", 0.0), ("nan", 9.0), ("soon", 9.0)]
)
def test_milliseconds_are_preferred(milliseconds: str, seconds: float) -> None:
    assert backoff.retry_after("9", milliseconds, TODAY) == seconds


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [(0.0, "1", "1"), (0.2, "1", "200"), (1.0, "1", "1000"), (20.0001, "21", "20001")],
)
def test_callers_get_seconds_and_milliseconds(
    seconds: float, whole: str, milliseconds: str
) -> None:
    headers = {"Retry-After": whole, "retry-after-ms": milliseconds}
    assert backoff.retry_headers(seconds) == headers


def test_turns_follow_the_weights_and_are_spread_evenly() -> None:
    rotation = WeightedRoundRobin([("a", 3), ("b", 1)])
    turns = [rotation.next(lambda _: True) for _ in range(8)]
    assert Counter(turns) == {"a": 6, "b": 2}
    assert turns[:4] == ["a", "a", "b", "a"]
    assert rotation.next(lambda item: item == "b") == "b"
    assert rotation.next(lambda _: False) is None


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (b'{"a": 1, "usage": {"prompt_tokens": 3, "completion_tokens": 4}}', TokenCounts(3, 4)),
        (b'{"usage":{"prompt_tokens":3}}', TokenCounts(3, 0)),
        (b'{"usage": null}', None),
        (b'{"usage": {"prompt_tokens": "3"}}', None),
        (b'{"usage": {"prompt_tokens": -3}}', None),
        (b'{"usage": {"prompt_tokens": 3', None),
        (b'{"content": "say \\"usage\\": {}"}', None),
        (b'["usage"]', None),
        (b"\xff", None),
    ],
)
def test_usage_is_found_in_an_answer(text: bytes, tokens: TokenCounts | None) -> None:
    assert usage.find_usage(text) == tokens


def test_prices_are_per_million_tokens() -> None:
    assert cost(
        TokenCounts(2_000_000, 500_000), ModelPrice(input=0.15, output=0.6)
    ) == pytest.approx(0.6)


async def test_hedging_uses_the_first_success_and_discards_the_other() -> None:
    calls: list[str] = []
    discarded: list[str] = []

    async def call() -> str:
        calls.append(name := f"call {len(calls)}")
        try:
            await asyncio.sleep(60 if name == "call 0" else 0)
        except asyncio.CancelledError:
            return f"late {name}"
        return name

    async def discard(answer: str) -> None:
        discarded.append(answer)

    first = await first_of(call, after=0.01, may_hedge=lambda: True, discard=discard)
    assert (first, calls, discarded) == ("call 1", ["call 0", "call 1"], ["late call 0"])


async def test_hedging_raises_the_failure_when_all_calls_fail() -> None:
    async def call() -> str:
        await asyncio.sleep(0.02)
        raise ValueError("no")

    async def discard(_: str) -> None:
        raise AssertionError

    for may in (True, False):
        with pytest.raises(ValueError, match="no"):
            await first_of(call, after=0.001, may_hedge=lambda may=may: may, discard=discard)
