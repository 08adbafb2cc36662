"""A minimal app with authentication on a real database, called without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from aiapi_service.auth import Principal, keys, require
from aiapi_service.auth.accounts import AccountStore
from aiapi_service.auth.factory import Auth, open_auth
from aiapi_service.auth.passwords import PasswordHasher
from aiapi_service.auth.principal import ALL_SCOPES
from aiapi_service.auth.routes import router
from aiapi_service.auth.secret_files import write_secret
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.auth.signing import Keyring, new_key
from aiapi_service.gateway import problems
from aiapi_service.store.database import Database, open_database

# Cheap parameters: unit tests cover the real ones.
CHEAP = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
PASSWORD = "correct horse battery staple"


def make_app() -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.include_router(router)

    @app.get("/chat")
    async def chat(principal: Annotated[Principal, require("chat")]) -> dict[str, Any]:
        return {"subject": principal.subject, "tenant": principal.tenant}

    @app.get("/both")
    async def both(_: Annotated[Principal, require("chat", "documents:write")]) -> None:
        return None

    return app


@dataclass
class Service:
    app: FastAPI
    auth: Auth
    settings: AuthSettings
    database: Database | None

    def client(self, address: str = "192.0.2.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 1234))
        return httpx.AsyncClient(transport=transport, base_url="http://service")

    @property
    def accounts(self) -> AccountStore:
        assert self.database is not None
        return AccountStore(self.database)

    async def add_user(
        self, name: str, *, scopes: frozenset[str] = ALL_SCOPES, password: str = PASSWORD
    ) -> None:
        await self.accounts.add_user(name, tenant=name, scopes=scopes)
        await self.accounts.set_password(name, CHEAP.hash(password))

    async def add_key(self, owner: str, **changes: Any) -> keys.ApiKey:
        key = keys.new_key()
        user = await self.accounts.user(owner)
        assert user is not None
        of = {"name": "", "scopes": ALL_SCOPES, "expires": None} | changes
        await self.accounts.add_key(key, owner=user, **of)
        return key

    async def log_in(self, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        address = more.pop("address", "192.0.2.1")
        form = {"grant_type": "password", "username": name, "password": password} | more
        async with self.client(address) as client:
            return await client.post("/v1/auth/token", data=form)

    async def refresh(self, token: str, address: str = "192.0.2.1", **more: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token} | more
        async with self.client(address) as client:
            return await client.post("/v1/auth/token", data=form)

    async def revoke(self, token: str) -> httpx.Response:
        async with self.client() as client:
            return await client.post("/v1/auth/revoke", data={"token": token})

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client() as client:
            return await client.get(path, headers=headers)


@asynccontextmanager
async def service(
    data_dir: Path,
    url: str | None = None,
    *,
    passwords: PasswordHasher | None = None,
    **values: Any,
) -> AsyncIterator[Service]:
    if "auth_signing_keys_file" not in values:
        values["auth_signing_keys_file"] = signing_keys(data_dir)
    settings = AuthSettings.model_validate(
        {
            "data_dir": data_dir,
            "database_url": url,
            "auth_cache_seconds": 0,
        }
        | values
    )
    passwords = passwords or PasswordHasher(threads=2, queue=50, scheme=CHEAP)
    app = make_app()
    async with (
        open_database(settings) as database,
        open_auth(settings, database, passwords=passwords) as auth,
    ):
        app.state.services = SimpleNamespace(auth=auth, settings=settings, rate_limiter=None)
        yield Service(app, auth, settings, database)


@cache
def rsa_keyring() -> str:
    """RSA keys are slow to generate, so all tests share one."""
    return Keyring((new_key("RS256", signs_from=0),)).dump()


def signing_keys(data_dir: Path) -> Path:
    path = data_dir / "signing-keys.json"
    write_secret(path, rsa_keyring(), keep=True)
    return path
