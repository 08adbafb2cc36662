"""Embeddings for the gateway itself, from an upstream or on this machine."""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiapi_service.gateway.local import embedder as local
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.settings import GatewaySettings
from aiapi_service.gateway.upstreams import error_responses, failures
from aiapi_service.gateway.upstreams.client import UpstreamClient, embeddings_call, parse_object
from aiapi_service.gateway.upstreams.metering import ModelMeter
from aiapi_service.gateway.upstreams.usage import TokenCounts, parse_usage

# Longer work than this would hold the loop; a thread costs more than it saves on less.
_INLINE_CHARACTERS = 20_000
_INLINE_ROWS = 32


@dataclass(frozen=True)
class Embeddings:
    """Vectors in the order of the texts."""

    vectors: list[list[float]]
    model: str
    tokens: int


class Embedder:
    """Chooses by the model's name; the local one answers for its own name and as the default."""

    def __init__(
        self, settings: GatewaySettings, upstreams: UpstreamClient, here: local.LocalEmbedder | None
    ) -> None:
        self._upstreams = upstreams
        self._local = here
        named = [
            name
            for one in upstreams.targets
            if "embeddings" in one.spec.kinds
            for name in one.spec.models
        ]
        named += [local.NAME] if here else []
        self.default_model = settings.embedding_model or next(iter(named), "")

    @property
    def dimensions(self) -> int | None:
        """Of the default model, where that is known without asking."""
        return local.DIMENSIONS if self.default_model == local.NAME else None

    def is_local(self, model: str) -> bool:
        return self._local is not None and model == local.NAME

    def refuse_unknown(self, model: str) -> None:
        """Where there is a local model, it is one of those to choose from."""
        if self._local is not None and not self._upstreams.serves("embeddings", model):
            targets = self._upstreams.targets
            raise error_responses.unknown_model(model, "embeddings", targets, here=[local.NAME])

    async def embed(self, texts: Sequence[str], model: str | None = None) -> Embeddings:
        """Vectors as lists of numbers."""
        name = model or self.default_model
        if not name:
            raise no_embedding_model()
        if self.is_local(name):
            found = await self.embed_here(texts)
            return Embeddings(found.vectors.tolist(), name, found.tokens)
        return await self._ask(texts, name)

    async def embed_here(self, texts: Sequence[str]) -> local.Vectors:
        """By the local model."""
        assert self._local is not None  # noqa: S101 - asked for by is_local()
        meter = ModelMeter(local.NAME, self._upstreams.prices)
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            found = self._local.embed(texts)
        else:
            found = await asyncio.to_thread(self._local.embed, texts)
        meter.done("local", TokenCounts(found.tokens))
        return found

    async def _ask(self, texts: Sequence[str], name: str) -> Embeddings:
        self.refuse_unknown(name)
        data = {"model": name, "input": list(texts), "encoding_format": "float"}
        call = embeddings_call(data, json.dumps(data).encode(), self._upstreams)
        meter = ModelMeter(name, self._upstreams.prices)
        answer, content = await self._upstreams.ask(call)
        parsed = parse_object(content, answer.target.name)
        usage = parse_usage(parsed.get("usage"))
        meter.done(answer.target.name, usage)
        vectors = _vectors(parsed.get("data"), len(texts))
        if vectors is None:
            raise failures.broken(f"{answer.target.name} did not answer {len(texts)} embeddings")
        return Embeddings(vectors, name, usage.prompt if usage else 0)


def load_local(settings: GatewaySettings) -> local.LocalEmbedder | None:
    """The local model where it is wanted and installed. Takes a moment: before workers fork."""
    wanted = settings.local == "on" or (settings.local == "auto" and not settings.upstreams)
    return local.LocalEmbedder() if wanted and local.available() else None


def _vectors(data: Any, count: int) -> list[list[float]] | None:
    if not isinstance(data, list) or len(data) != count:
        return None
    found: list[list[float]] = []
    for item in data:
        vector = item.get("embedding") if isinstance(item, dict) else None
        if not isinstance(vector, list) or not vector:
            return None
        found.append(vector)
    return found


async def to_openai_json(found: local.Vectors, *, base64_format: bool) -> bytes:
    """An answer as OpenAI's API has it."""
    if len(found.vectors) <= _INLINE_ROWS:
        return _as_json(found, base64_format=base64_format)
    return await asyncio.to_thread(_as_json, found, base64_format=base64_format)


def _as_json(found: local.Vectors, *, base64_format: bool) -> bytes:
    """Row by row: between them a thread gives way to the loop, within json.dumps it does not."""
    rows = []
    for index, row in enumerate(found.vectors):
        value = base64.b64encode(row.tobytes()).decode() if base64_format else row.tolist()
        rows.append(json.dumps({"object": "embedding", "index": index, "embedding": value}))
    usage = json.dumps({"prompt_tokens": found.tokens, "total_tokens": found.tokens})
    data = ", ".join(rows)
    text = f'{{"object": "list", "data": [{data}], "model": "{local.NAME}", "usage": {usage}}}'
    return text.encode()


def no_embedding_model() -> ProblemError:
    """Nobody embeds."""
    return ProblemError(
        503,
        "no-embeddings",
        "No model for embeddings is configured",
        "Set AIAPI_UPSTREAMS to a server with embeddings and AIAPI_EMBEDDING_MODEL to its model, "
        "or install the local one: pip install 'aiapi[service,local]'.",
    )
