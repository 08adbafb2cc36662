"""Numbers in the status change only by more than their tolerance."""

from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.api import AIApi
from aiapi_operator.engine.status import Deadband, StatusInputs, build
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.savings import Savings
from aiapi_operator.sizing.state import Size

SAVINGS = Savings(
    percent=40.0,
    per_month=10.0,
    currency="USD",
    baseline=Size(workers=2, replicas=3),
    baseline_is_peak=True,
    cost_hour=1.0,
    baseline_hour=1.0,
    worker_seconds=7200.0,
    baseline_worker_seconds=14400.0,
)


async def decided() -> tuple[AIApi, Decision]:
    world = World()
    await world.settle()
    decision = world.state.writer.decision
    assert decision is not None
    return AIApi.model_validate(world.state.manifest), decision


def shown(
    aiapi: AIApi, decision: Decision, deadband: Deadband, savings: Savings | None = None
) -> dict[str, Any]:
    inputs = StatusInputs(
        aiapi=aiapi,
        pods=(),
        workers=1,
        decision=decision,
        decided_at="",
        savings=savings,
        conditions={},
    )
    return build(inputs, deadband)


@pytest.mark.parametrize(
    ("number", "field", "values", "texts"),
    [
        ("arrivals_per_second", "requestsPerSecond", (1.0, 1.49, 1.51), ("1", "1.51")),
        ("completed_per_second", "completedPerSecond", (1.0, 1.49, 1.51), ("1", "1.51")),
        ("in_flight", "inFlight", (1.0, 1.49, 1.51), ("1", "1.51")),
        ("in_flight", "inFlight", (100.0, 109.9, 110.1), ("100", "110")),
        ("loop_utilization", "utilization", (0.1, 0.129, 0.131), ("10%", "13%")),
        ("upstream_share", "upstreamShare", (0.1, 0.149, 0.151), ("10%", "15%")),
        ("threads_utilization", "threads", (0.1, 0.149, 0.151), ("10%", "15%")),
        ("shed_per_second", "shedPerSecond", (0.2, 0.29, 0.31), ("0.2", "0.31")),
        ("failing", "failing", (0.002, 0.0029, 0.0031), ("0.2%", "0.31%")),
        ("latency", "latency", (0.1, 0.109, 0.111), ("100ms", "111ms")),
        ("latency", "latency", (0.001, 0.00149, 0.0016), ("1ms", "1.6ms")),
    ],
)
async def test_a_load_within_the_tolerance_is_shown_as_before(
    number: str, field: str, values: tuple[float, float, float], texts: tuple[str, str]
) -> None:
    aiapi, decision = await decided()
    deadband, found = Deadband(), []
    for value in values:
        load = replace(decision.load, **{number: value})
        found.append(shown(aiapi, replace(decision, load=load), deadband)["load"][field])
    assert found == [texts[0], texts[0], texts[1]]


@pytest.mark.parametrize(
    ("number", "field", "values", "texts"),
    [
        ("percent", "percent", (40.0, 40.9, 41.1), ("40%", "41%")),
        ("cost_hour", "costPerHour", (1.0, 1.019, 1.021), ("1", "1.021")),
        ("baseline_hour", "baselinePerHour", (1.0, 1.019, 1.021), ("1", "1.021")),
    ],
)
async def test_savings_change_by_more_than_a_point_and_prices_by_two_percent(
    number: str, field: str, values: tuple[float, float, float], texts: tuple[str, str]
) -> None:
    aiapi, decision = await decided()
    deadband, found = Deadband(), []
    for value in values:
        savings = replace(SAVINGS, **{number: value})
        found.append(shown(aiapi, decision, deadband, savings)["savings"][field])
    assert found == [texts[0], texts[0], texts[1]]
