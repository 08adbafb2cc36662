"""The official OpenAI client works and raises its usual errors."""

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from gateway_support.server import serving, settings
from gateway_support.upstream import StandIn, refusal

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
