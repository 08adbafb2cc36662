"""Selecting upstreams by model."""

import json
from typing import Any

import pytest
from gateway_support.server import CHAT, QUESTION, gateway, problem, upstreams
from gateway_support.upstream import StandIn, refusal

_NO_MODEL = "The model `m` does not exist."


async def test_an_upstream_that_lists_the_model_is_preferred(
    upstream: StandIn, second: StandIn
) -> None:
    config = json.dumps([{"url": upstream.url}, {"url": second.url, "models": ["m"]}])
    async with gateway(upstreams=config) as client:
        for _ in range(4):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
        second.always = refusal(503)
        async with client.post(CHAT, json=QUESTION) as answer:
            assert answer.status == 200
    assert (len(upstream.requests), len(second.requests)) == (1, 5)


async def test_another_upstream_is_used_when_one_lacks_the_model(
    upstream: StandIn, second: StandIn
) -> None:
    upstream.always = refusal(404, _NO_MODEL)
    async with gateway(upstreams=upstreams(upstream.url, second.url)) as client:
        for _ in range(6):
            async with client.post(CHAT, json=QUESTION) as answer:
                assert answer.status == 200
    assert len(upstream.requests) == 1, "it gets no calls for this model for a while"


async def test_a_model_that_no_upstream_has_is_404(upstream: StandIn, second: StandIn) -> None:
    upstream.always = second.always = refusal(404, _NO_MODEL)
    async with gateway(upstreams=upstreams(upstream.url, second.url)) as client:
        for _ in range(3):
            async with client.post(CHAT, json=QUESTION) as answer:
                details = await problem(answer)
                assert (details["status"], details["detail"]) == (404, _NO_MODEL)


@pytest.mark.parametrize(
    "odd", [{"created": None}, {"owned_by": None}, {"object": "engine"}, {"created": 1.5}]
)
async def test_a_card_with_invalid_fields_is_repaired(
    upstream: StandIn, second: StandIn, odd: dict[str, Any]
) -> None:
    upstream.cards = [{"id": "odd", "mark": "kept", **odd}]
    both = upstreams(upstream.url, second.url)
    async with gateway(upstreams=both) as client, client.get("/v1/models") as answer:
        assert answer.status == 200
        cards = (await answer.json())["data"]
    assert [one["id"] for one in cards] == ["odd", "stand-in"]
    assert (cards[0]["object"], cards[0]["created"], cards[0]["mark"]) == ("model", 0, "kept")
