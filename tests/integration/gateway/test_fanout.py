"""Many completions in one request."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from gateway_support.server import gateway, problem, upstreams
from gateway_support.upstream import StandIn

FANOUT = "/v1/fanout"


async def test_several_prompts_are_sent_to_one_model_concurrently(upstream: StandIn) -> None:
    upstream.pause = 0.5
    body = {
        "model": "m",
        "prompts": ["a", *([[{"role": "user", "content": "b"}]] * 9)],
        "parameters": {"max_tokens": 5, "top_k": 1},
    }
    async with gateway(upstreams=upstream.url) as client, client.post(FANOUT, json=body) as answer:
        assert answer.status == 200
        result = await answer.json()
    assert (result["object"], result["succeeded"], result["failed"]) == ("fanout", 10, 0)
    assert result["usage"] == {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100}
    assert [item["index"] for item in result["results"]] == list(range(10))
    assert sum(item["seconds"] for item in result["results"]) > 2 * result["seconds"]
    assert upstream.bodies[0]["messages"] in (
        [{"role": "user", "content": "a"}],
        [{"role": "user", "content": "b"}],
    )
    assert all(body["top_k"] == 1 and body["stream"] is False for body in upstream.bodies)


async def test_one_failed_or_slow_item_does_not_fail_the_others(upstream: StandIn) -> None:
    upstream.pauses = {"slow": 60}
    body = {"models": ["good", "slow", "none"], "prompt": "hi", "timeout": 0.5}
    config = upstreams(upstream.url, models=["good", "slow"])
    async with gateway(upstreams=config) as client, client.post(FANOUT, json=body) as answer:
        result = await answer.json()
    assert answer.status == 200
    good, slow, none = result["results"]
    assert good["completion"]["choices"][0]["message"]["content"] == "hello"
    assert (good["problem"], slow["completion"], none["completion"]) == (None, None, None)
    assert (slow["problem"]["status"], none["problem"]["status"]) == (504, 404)
    assert (result["succeeded"], result["failed"]) == (1, 2)
    await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_a_disconnect_cancels_all_calls(upstream: StandIn) -> None:
    upstream.pause = 60
    body = {"model": "m", "prompts": ["a", "b"]}
    async with gateway(upstreams=upstream.url) as client:
        with suppress(TimeoutError):
            await client.post(FANOUT, json=body, timeout=aiohttp.ClientTimeout(total=0.3))
        await asyncio.wait_for(upstream.cancelled.wait(), 15)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "m"}, ""),
        ({"model": "m", "prompts": ["a"], "prompt": "b"}, ""),
        ({"model": "m", "prompts": []}, "prompts"),
        ({"model": "m", "prompts": ["a"] * 65}, "prompts"),
        ({"model": "m", "prompts": ["a"], "parameters": {"n": 99}}, "parameters.n"),
        ({"models": ["m"], "prompt": "a", "timeout": 0}, "timeout"),
        ({"models": ["m"], "prompt": "a", "more": 0}, "more"),
    ],
)
async def test_an_invalid_fan_out_names_its_field(
    upstream: StandIn, body: dict[str, Any], field: str
) -> None:
    async with gateway(upstreams=upstream.url) as client, client.post(FANOUT, json=body) as answer:
        details = await problem(answer)
    assert (details["status"], details["errors"][0]["field"]) == (422, field)
    assert upstream.requests == []
