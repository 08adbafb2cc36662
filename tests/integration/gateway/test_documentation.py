"""The OpenAPI document, its pages, and Schemathesis."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import aiohttp
from gateway_support.server import CHAT, gateway, serving, settings, upstreams
from gateway_support.upstream import StandIn
from jsonschema_rs import validator_for

from aiapi_service.gateway.schemas import examples


async def document(client: aiohttp.ClientSession) -> dict[str, Any]:
    async with client.get("/openapi.json") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def test_every_route_documents_its_errors_and_examples() -> None:
    async with gateway() as client:
        found = await document(client)
    assert found["openapi"].startswith("3.1")
    for path, operations in found["paths"].items():
        if not path.startswith("/v1/") or path.startswith("/v1/auth"):
            continue
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["security"], where
            for status, answer in operation["responses"].items():
                kinds = set(answer.get("content", {}))
                if status >= "400":
                    assert kinds == {"application/problem+json"}, f"{where} {status}"
            if "requestBody" in operation:
                assert "example" in str(operation["requestBody"]), where
            assert {"401", "403"} <= set(operation["responses"]), where


async def test_what_can_be_streamed_is_documented_as_events() -> None:
    async with gateway() as client:
        found = await document(client)
    streams = {
        path
        for path, item in found["paths"].items()
        if "`stream: true`" in item.get("post", {}).get("description", "")
    }
    assert streams >= {CHAT, "/v1/completions", "/v1/responses"}
    for path in streams:
        assert "text/event-stream" in found["paths"][path]["post"]["responses"]["200"]["content"]


async def test_the_examples_are_valid(upstream: StandIn) -> None:
    models = upstreams(upstream.url, models=["smollm2-135m", "wordllama-256"])
    sent = [
        (CHAT, examples.CHAT),
        ("/v1/completions", examples.COMPLETIONS),
        ("/v1/responses", examples.RESPONSES),
        ("/v1/embeddings", examples.EMBEDDINGS),
        ("/v1/fanout", examples.FANOUT),
    ]
    async with gateway(upstreams=models) as client:
        found = await document(client)
        for path, given in sent:
            for example in given.values():
                async with client.post(path, json=example["value"]) as answer:
                    assert answer.status == 200, await answer.text()
    schemas = {"components": found["components"]}
    for name, value in (
        ("ChatCompletion", examples.CHAT_ANSWER),
        ("Completion", examples.COMPLETIONS_ANSWER),
        ("ModelResponse", examples.RESPONSES_ANSWER),
        ("EmbeddingList", examples.EMBEDDINGS_ANSWER),
        ("ModelList", examples.MODELS_ANSWER),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", **schemas}
        assert validator_for(schema).is_valid(value), name


async def test_the_pages_load_no_external_resources() -> None:
    async with gateway() as client:
        for page in ("/docs", "/redoc"):
            async with client.get(page) as answer:
                assert answer.status == 200
                policy = answer.headers["Content-Security-Policy"]
                text = await answer.text()
            script = next(part for part in policy.split("; ") if part.startswith("script-src"))
            assert script == "script-src 'self'"
            assert not re.findall(r"<script(?![^>]*\ssrc=)", text), "no inline script"
            links = re.findall(r'(?:src|href)="([^"]+)"', text)
            assert len(links) >= 3
            for link in links:
                assert "//" not in link
                async with client.get(f"/{link}") as answer:
                    assert answer.status == 200
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert len(await answer.read()) > 50
        async with client.get("/docs/..%2Fapp.py") as answer:
            assert answer.status == 404


async def test_schemathesis_finds_no_errors(upstream: StandIn, tmp_path: Path) -> None:
    """A few seconds of valid and invalid data for every operation."""
    gateway_settings = settings(upstreams=upstream.url, auth="on", data_dir=tmp_path, local="auto")
    async with serving(gateway_settings) as base:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{base}/openapi.json"]
        command += ["--phases=coverage,fuzzing", "--max-examples=10", "--max-time=8"]
        command += [
            "--include-path-regex=^/(v1/(chat/|completions|responses|fanout|embeddings|models).*)?$"
        ]
        command += ["--generation-deterministic", "--no-color"]
        key = (tmp_path / "api-key").read_text().strip()
        command += ["--header", f"Authorization: Bearer {key}"]
        command += ["--workers=1", "--request-timeout=20", "--suppress-health-check=all"]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, output.decode()
