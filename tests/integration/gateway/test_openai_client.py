"""The official OpenAI client works and raises its usual errors."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from aiohttp import web
from gateway_support.server import serving, settings
from gateway_support.upstream import StandIn, refusal

from aiapi_service.gateway.upstreams import metering

ASK = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def client(upstream: StandIn) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        serving(settings(upstreams=upstream.url, upstream_retries=0)) as base,
        openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="key", max_retries=0) as openai_client,
    ):
        yield openai_client


async def test_completions_with_and_without_streaming(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="m", messages=ASK)
    assert whole.choices[0].message.content == "hello"
    assert whole.usage is not None
    assert whole.usage.total_tokens == 10

    stream = await client.chat.completions.create(
        model="m", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Hello"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


async def test_closing_a_stream_cancels_the_upstream_call(
    client: openai.AsyncOpenAI, upstream: StandIn
) -> None:
    upstream.pieces = ["x"] * 10_000
    stream = await client.chat.completions.create(model="m", messages=ASK, stream=True)
    async for _ in stream:
        break
    await stream.close()
    await asyncio.wait_for(upstream.cancelled.wait(), 15)


async def test_embeddings_and_models(client: openai.AsyncOpenAI) -> None:
    made = await client.embeddings.create(model="e", input=["a", "b"])
    assert [item.embedding for item in made.data] == [[1.0, 0], [1.0, 1]]
    assert [model.id async for model in client.models.list()] == ["stand-in"]
    assert (await client.models.retrieve("stand-in")).object == "model"
    with pytest.raises(openai.NotFoundError, match="Model 'none' does not exist"):
        await client.models.retrieve("none")


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
async def test_errors_have_the_usual_classes(
    client: openai.AsyncOpenAI,
    upstream: StandIn,
    status: int,
    raised: type[openai.APIStatusError],
) -> None:
    upstream.always = refusal(status, "the reason")
    with pytest.raises(raised, match="the reason") as caught:
        await client.chat.completions.create(model="m", messages=ASK)
    assert caught.value.code == ("upstream_error" if status == 500 else "the_code")


async def test_a_stream_that_breaks_is_an_error(
    client: openai.AsyncOpenAI, upstream: StandIn
) -> None:
    upstream.break_after = 0
    stream = await client.chat.completions.create(model="m", messages=ASK, stream=True)
    with pytest.raises(openai.APIError, match=upstream.url.removeprefix("http://")):
        async for _ in stream:
            pass


@pytest.mark.parametrize("cut", ["half_event", "running_usage"])
async def test_an_incomplete_stream_is_an_error(
    client: openai.AsyncOpenAI, upstream: StandIn, cut: str
) -> None:
    setattr(upstream, cut, True)
    stream = await client.chat.completions.create(model="m", messages=ASK, stream=True)
    with pytest.raises(openai.APIError, match="ended the stream early"):
        async for _ in stream:
            pass


async def test_responses_with_and_without_streaming(
    client: openai.AsyncOpenAI, upstream: StandIn
) -> None:
    counted = metering.TOKENS.labels(upstream.url.removeprefix("http://"), "m", "out")
    whole = await client.responses.create(model="m", input="hi", max_output_tokens=9)
    assert (whole.output_text, counted.values[0]) == ("hello", 3)
    assert upstream.bodies[-1] == {"model": "m", "input": "hi", "max_output_tokens": 9}
    async with client.responses.stream(
        model="m", input=[{"role": "user", "content": "hi"}]
    ) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text == "Hello"
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert counted.values[0] == 6
    assert "stream_options" not in upstream.bodies[-1], "its usage is always there"


async def test_a_response_that_ends_early_is_an_error(
    client: openai.AsyncOpenAI, upstream: StandIn
) -> None:
    upstream.break_after = 6
    stream = await client.responses.create(model="m", input="hi", stream=True)
    with pytest.raises(openai.APIError, match="ended the stream early"):
        async for _ in stream:
            pass


async def test_an_upstream_without_responses_is_named(
    client: openai.AsyncOpenAI, upstream: StandIn
) -> None:
    upstream.always = web.json_response({"detail": "Not Found"}, status=404)
    with pytest.raises(openai.NotFoundError, match="Not Found"):
        await client.responses.create(model="m", input="hi")


@pytest.mark.parametrize("field", [{"input": 5}, {"background": True}])
async def test_an_invalid_response_request_names_its_field(
    client: openai.AsyncOpenAI, field: dict[str, Any]
) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await client.responses.create(model="m", **field)
    assert str(caught.value.param).startswith(next(iter(field)))


async def test_completions_of_a_prompt(client: openai.AsyncOpenAI, upstream: StandIn) -> None:
    await client.completions.create(model="m", prompt=["a", "b"], max_tokens=3)
    assert upstream.bodies[-1] == {"model": "m", "prompt": ["a", "b"], "max_tokens": 3}
    stream = await client.completions.create(model="m", prompt=[1, 2], stream=True)
    chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None for chunk in chunks), "usage is counted and hidden"
    assert upstream.bodies[-1]["stream_options"] == {"include_usage": True}
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await client.completions.create(model="m", prompt=[[-1]])
    assert str(caught.value.param).startswith("prompt")


async def test_other_paths_are_passed_through(
    client: openai.AsyncOpenAI, upstream: StandIn
) -> None:
    speech = await client.audio.speech.create(model="tts", voice="alloy", input="hi")
    assert speech.content.startswith(b"\x00\xff{")
