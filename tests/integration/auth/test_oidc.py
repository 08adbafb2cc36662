"""Tokens of an OpenID Connect provider, here a fake one on loopback."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from store_support.service import Service, service

from aiapi_service.auth import oidc


@cache
def _rsa(name: str) -> rsa.RSAPrivateKey:
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _ec() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _public(kid: str) -> dict[str, Any]:
    if kid.startswith("ec"):
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_ec().public_key()))
    else:
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(_rsa(kid).public_key()))
    return jwk | {"kid": kid, "use": "sig"}


class Issuer:
    """A fake provider. Publishes configured keys and counts requests for them."""

    def __init__(self) -> None:
        self.url = ""
        self.kids = ["one"]
        self.more: list[Any] = []
        self.fetches = 0
        self.pause = 0.0
        self.broken: bytes | None = None
        self.overrides: dict[str, Any] = {}

    async def configuration(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.overrides
        )

    async def keys(self, _request: web.Request) -> web.Response:
        self.fetches += 1
        await asyncio.sleep(self.pause)
        if self.broken is not None:
            return web.Response(body=self.broken, content_type="application/json")
        return web.json_response({"keys": [*map(_public, self.kids), *self.more]})

    def token(
        self, kid: str = "one", *, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        now = int(time.time())
        body = {
            "iss": self.url, "aud": "aiapi", "sub": "ann", "iat": now, "exp": now + 300,
            "scope": "openid chat",
        } | claims  # fmt: skip
        body = {name: value for name, value in body.items() if value is not None}
        key, algorithm = (_ec(), "ES256") if kid.startswith("ec") else (_rsa(kid), "RS256")
        return jwt.encode(body, key, algorithm=algorithm, headers={"kid": kid} | (header or {}))


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.configuration)
    app.router.add_get("/keys", issuer.keys)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield issuer
    await runner.cleanup()


@asynccontextmanager
async def trusting(issuer: Issuer, tmp_path: Path, **more: Any) -> AsyncIterator[Service]:
    values = {"oidc_issuer": issuer.url, "oidc_audience": "aiapi"} | more
    async with service(tmp_path, **values) as one:
        yield one


async def test_a_token_of_the_provider_authenticates_its_subject(
    issuer: Issuer, tmp_path: Path
) -> None:
    async with trusting(issuer, tmp_path) as one:
        me = (await one.get("/v1/auth/me", issuer.token())).json()
        assert me == {
            "subject": f"{issuer.url}#ann",
            "tenant": f"oidc:{issuer.url}#ann",
            "scopes": ["chat"],
            "kind": "oidc",
        }
        for _ in range(5):
            await one.get("/chat", issuer.token(jti=str(_)))
        assert issuer.fetches == 1, "its keys are cached"
        assert not (tmp_path / "api-key").exists(), "no API key is generated with a provider"


async def test_scopes_and_tenant_come_from_claims_within_the_settings(
    issuer: Issuer, tmp_path: Path
) -> None:
    more = {"oidc_tenant_claim": "org", "oidc_scopes": ("chat", "answer")}
    async with trusting(issuer, tmp_path, **more) as one:
        token = issuer.token(org="acme", scope=None, scp=["chat", "documents:write", 7])
        me = (await one.get("/v1/auth/me", token)).json()
        assert (me["tenant"], me["scopes"]) == ("acme", ["chat"])
        for org in (None, "", 7, "x" * 300, "a\nb"):
            assert (await one.get("/v1/auth/me", issuer.token(org=org))).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://another.example"},
        {"aud": "another"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"nbf": int(time.time()) + 3600},
    ],
)
async def test_a_token_for_others_or_for_another_time_is_refused(
    issuer: Issuer, tmp_path: Path, claims: dict[str, Any]
) -> None:
    async with trusting(issuer, tmp_path) as one:
        assert (await one.get("/chat", issuer.token(**claims))).status_code == 401


async def test_the_public_key_is_not_accepted_as_an_hmac_secret(
    issuer: Issuer, tmp_path: Path
) -> None:
    pem = _rsa("one").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    genuine = issuer.token().split(".")
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"one"}').decode()
    text = f"{header}.{genuine[1]}"
    mac = jwt.utils.base64url_encode(hmac.digest(pem, text.encode(), hashlib.sha256)).decode()
    none = jwt.utils.base64url_encode(b'{"alg":"none","kid":"one"}').decode()
    async with trusting(issuer, tmp_path, oidc_algorithms=("RS256",)) as one:
        assert (await one.get("/chat", f"{text}.{mac}")).status_code == 401
        assert (await one.get("/chat", f"{none}.{genuine[1]}.")).status_code == 401
        issuer.kids.append("ec")
        assert (await one.get("/chat", issuer.token("ec"))).status_code == 401, (
            "algorithm not allowed"
        )


async def test_keys_in_token_headers_are_ignored(issuer: Issuer, tmp_path: Path) -> None:
    async with trusting(issuer, tmp_path) as one:
        for name, value in (("jwk", _public("mine")), ("jku", f"{issuer.url}/keys"), ("x5u", "x")):
            forged = issuer.token("mine", header={"kid": "one", name: value})
            assert (await one.get("/chat", forged)).status_code == 401
        assert issuer.fetches == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5000.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    async with trusting(issuer, tmp_path) as one:
        old = issuer.token()
        assert (await one.get("/chat", old)).status_code == 200
        issuer.kids = ["one", "two"]
        now += 31
        assert (await one.get("/chat", issuer.token("two"))).status_code == 200
        assert (await one.get("/chat", old)).status_code == 200
        assert issuer.fetches == 2
        issuer.kids = ["two"]
        now += 3601
        for _ in range(2):
            await one.get("/chat", issuer.token("two", jti=str(_)))
            await asyncio.sleep(0.05)
        await _until_fetched(issuer, 3)
        assert (await one.get("/chat", old)).status_code == 401, "removed by the provider"


async def _until_fetched(issuer: Issuer, times: int) -> None:
    async with asyncio.timeout(20):
        while issuer.fetches < times:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_made_up_keys_do_not_block_tokens_of_a_new_key(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5000.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    async with trusting(issuer, tmp_path) as one:
        assert (await one.get("/chat", issuer.token())).status_code == 200
        for number in range(4):
            made_up = issuer.token("mine", header={"kid": f"made-up-{number}"})
            answer = await one.get("/chat", made_up)
            assert answer.status_code == (401 if number < 2 else 503)
        assert issuer.fetches == 3
        issuer.kids = ["one", "two"]
        answer = await one.get("/chat", issuer.token("two"))
        assert answer.status_code == 503, "the key may be newer than the cached ones"
        now += int(answer.headers["Retry-After"])
        assert (await one.get("/chat", issuer.token("two"))).status_code == 200


async def test_failed_fetches_are_retried_with_backoff(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5000.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    issuer.broken = b"nonsense"
    async with trusting(issuer, tmp_path) as one:
        pauses = []
        for _ in range(7):
            answer = await one.get("/chat", issuer.token())
            assert answer.status_code == 503
            pauses.append(int(answer.headers["Retry-After"]))
            now += pauses[-1]
        assert pauses == [1, 2, 4, 8, 16, 30, 30]
        issuer.broken = None
        assert (await one.get("/chat", issuer.token())).status_code == 200


async def test_concurrent_tokens_with_made_up_keys_cause_one_fetch(
    issuer: Issuer, tmp_path: Path
) -> None:
    async with trusting(issuer, tmp_path) as one:
        tokens = [issuer.token("mine", header={"kid": f"made-up-{n}"}) for n in range(20)]
        answers = await asyncio.gather(*(one.get("/chat", token) for token in tokens))
        assert {answer.status_code for answer in answers} == {401}
        assert issuer.fetches == 1


async def test_concurrent_requests_at_start_share_one_fetch(issuer: Issuer, tmp_path: Path) -> None:
    issuer.pause = 0.2
    async with trusting(issuer, tmp_path) as one:
        tokens = [issuer.token(jti=str(n)) for n in range(20)]
        answers = await asyncio.gather(*(one.get("/chat", token) for token in tokens))
        assert {answer.status_code for answer in answers} == {200}
        assert issuer.fetches == 1


@pytest.mark.parametrize(
    "broken",
    [b"", b"nonsense", b"[]", b'{"keys": []}', b'{"keys": 7}', b'{"keys": [7, {}]}', b"[" * 50_000,
     b'{"keys": "' + b"x" * 2**20 + b'"}'],
)  # fmt: skip
async def test_a_provider_without_keys_gives_503(
    issuer: Issuer, tmp_path: Path, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.broken = broken
    async with trusting(issuer, tmp_path) as one:
        answer = await one.get("/chat", issuer.token())
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert f"cannot fetch the keys of {issuer.url}" in caplog.text


async def test_unsupported_keys_are_skipped(issuer: Issuer, tmp_path: Path) -> None:
    issuer.more = [
        {"kty": "oct", "kid": "hmac", "k": "c2VjcmV0"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": ["list"]},
        _public("encrypts") | {"use": "enc"},
        None,
    ]
    async with trusting(issuer, tmp_path) as one:
        assert (await one.get("/chat", issuer.token())).status_code == 200
        assert (await one.get("/chat", issuer.token("encrypts"))).status_code == 401


async def test_cached_keys_stay_valid_during_an_outage(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5000.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    async with trusting(issuer, tmp_path) as one:
        assert (await one.get("/chat", issuer.token())).status_code == 200
        issuer.broken = b"nonsense"
        now += 4000
        answer = await asyncio.wait_for(one.get("/chat", issuer.token(jti="2")), 10)
        assert answer.status_code == 200


async def test_a_hanging_provider_times_out(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "_TIMEOUT_SECONDS", 0.2)
    issuer.pause = 30
    async with trusting(issuer, tmp_path) as one:
        answer = await asyncio.wait_for(one.get("/chat", issuer.token()), 20)
        assert answer.status_code == 503


@pytest.mark.parametrize(
    "overrides",
    [{"issuer": "https://another.example"}, {"jwks_uri": None}, {"jwks_uri": "file:///etc/passwd"}],
)
async def test_an_invalid_discovery_document_is_not_followed(
    issuer: Issuer, tmp_path: Path, overrides: dict[str, Any]
) -> None:
    issuer.overrides = overrides
    async with trusting(issuer, tmp_path) as one:
        assert (await one.get("/chat", issuer.token())).status_code == 503
        assert issuer.fetches == 0


async def test_the_jwks_url_can_be_configured(issuer: Issuer, tmp_path: Path) -> None:
    issuer.overrides = {"issuer": "nonsense"}
    async with trusting(issuer, tmp_path, oidc_jwks_url=f"{issuer.url}/keys") as one:
        assert (await one.get("/chat", issuer.token())).status_code == 200
