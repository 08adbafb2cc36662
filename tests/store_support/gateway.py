"""The gateway on a real database, with a fake model and fake embeddings."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
from fastapi import FastAPI
from store_support.service import CHEAP

from aiapi_service.auth import keys
from aiapi_service.auth.accounts import AccountStore
from aiapi_service.auth.factory import open_auth
from aiapi_service.auth.passwords import PasswordHasher
from aiapi_service.auth.principal import ALL_SCOPES
from aiapi_service.auth.rate_limit import open_rate_limiter
from aiapi_service.gateway.app import create_app
from aiapi_service.gateway.embedder import Embedder, Embeddings
from aiapi_service.gateway.services import Services
from aiapi_service.gateway.settings import GatewaySettings
from aiapi_service.gateway.upstreams.client import UpstreamClient
from aiapi_service.store.database import Database, open_database

DIMENSIONS = 64


class Words:
    """Embeds a text by its words, so that texts with common words are similar."""

    def __init__(self) -> None:
        self.model = "words"
        self.pause = 0.0
        self.vectors: list[list[Any]] | None = None

    async def embed(self, texts: Sequence[str], model: str | None = None) -> Embeddings:
        await asyncio.sleep(self.pause)
        vectors = self.vectors or [self._vector(text) for text in texts]
        return Embeddings(vectors, model or self.model, len(texts))

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * DIMENSIONS
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % DIMENSIONS] += 1.0
        return vector


@dataclass
class Model:
    """Returns a fixed text or fails, and records its requests."""

    text: str = "At nine."
    pause: float = 0.0
    failure: Exception | None = None
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    cancelled: bool = False
    began: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "stand-in"
    usage: Mapping[str, Any] = field(
        default_factory=lambda: {"prompt_tokens": 7, "completion_tokens": 2, "details": {"x": 1}}
    )

    def default_model(self) -> str:
        return self.name

    async def chat(
        self, body: Mapping[str, Any], *, deadline: float | None = None
    ) -> dict[str, Any]:
        self.asked.append(body)
        self.began.set()
        try:
            await asyncio.sleep(self.pause)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.failure is not None:
            raise self.failure
        return {
            "model": self.name,
            "choices": [{"message": {"content": self.text}}],
            "usage": self.usage,
        }


@dataclass
class Gateway:
    app: FastAPI
    database: Database
    words: Words
    model: Model

    async def key(self, name: str = "", **more: Any) -> str:
        """The key of a new user, by default with its own tenant."""
        accounts = AccountStore(self.database)
        name = name or f"user-{uuid4().hex[:8]}"
        scopes = more.get("scopes", ALL_SCOPES)
        await accounts.add_user(name, tenant=more.get("tenant", name), scopes=scopes)
        user = await accounts.user(name)
        assert user is not None
        key = keys.new_key()
        await accounts.add_key(key, owner=user, name="", scopes=scopes, expires=None)
        return key.text

    def client(self, key: str) -> httpx.AsyncClient:
        # Unhandled exceptions become 500, as with a server, instead of being raised here.
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)


@asynccontextmanager
async def gateway(data_dir: Path, url: str, **values: Any) -> AsyncIterator[Gateway]:
    settings = GatewaySettings(
        **{"data_dir": data_dir, "database_url": url, "local": "off", "auth_cache_seconds": 0}
        | values
    )
    app = create_app(settings)
    words, model = Words(), Model()
    passwords = PasswordHasher(threads=1, queue=4, scheme=CHEAP)
    async with (
        open_database(settings) as database,
        open_auth(settings, database, passwords=passwords) as auth,
        open_rate_limiter(settings, database) as rate_limiter,
    ):
        assert database is not None
        app.state.services = Services(
            settings=settings,
            upstreams=cast("UpstreamClient", model),
            embedder=cast("Embedder", words),
            store=database,
            auth=auth,
            rate_limiter=rate_limiter,
        )
        yield Gateway(app, database, words, model)
