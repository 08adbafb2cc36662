"""Tokens of an OpenID Connect provider, which is a stand-in on loopback."""

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
    """Publishes the keys it is told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.url = ""
        self.kids = ["one"]
        self.more: list[Any] = []
        self.asked = 0
        self.pause = 0.0
        self.broken: bytes | None = None
        self.says: dict[str, Any] = {}

    async def configuration(self, _request: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.says)

    async def keys(self, _request: web.Request) -> web.Response:
        self.asked += 1
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
    made = Issuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", made.configuration)
    app.router.add_get("/keys", made.keys)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def trusting(issuer: Issuer, tmp_path: Path, **more: Any) -> AsyncIterator[Service]:
    values = {"oidc_issuer": issuer.url, "oidc_audience": "aiapi"} | more
    async with service(tmp_path, **values) as one:
        yield one


async def test_a_token_of_the_provider_lets_its_subject_in(issuer: Issuer, tmp_path: Path) -> None:
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
        assert issuer.asked == 1, "its keys are kept"
        assert not (tmp_path / "api-key").exists(), "no key is made beside a provider"


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
async def test_one_for_others_or_for_another_time_does_not(
    issuer: Issuer, tmp_path: Path, claims: dict[str, Any]
) -> None:
    async with trusting(issuer, tmp_path) as one:
        assert (await one.get("/chat", issuer.token(**claims))).status_code == 401


async def test_the_providers_public_key_is_no_secret_to_sign_with(
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
        assert (await one.get("/chat", issuer.token("ec"))).status_code == 401, "not allowed here"


async def test_keys_that_the_token_brings_along_are_not_looked_at(
    issuer: Issuer, tmp_path: Path
) -> None:
    async with trusting(issuer, tmp_path) as one:
        for name, value in (("jwk", _public("mine")), ("jku", f"{issuer.url}/keys"), ("x5u", "x")):
            forged = issuer.token("mine", header={"kid": "one", name: value})
            assert (await one.get("/chat", forged)).status_code == 401
        assert issuer.asked == 1


async def test_a_new_key_is_fetched_when_a_token_names_it_and_the_old_one_holds(
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
        assert issuer.asked == 2
        issuer.kids = ["two"]
        now += 3601
        for _ in range(2):
            await one.get("/chat", issuer.token("two", jti=str(_)))
            await asyncio.sleep(0.05)
        await _until_asked(issuer, 3)
        assert (await one.get("/chat", old)).status_code == 401, "retired by its provider"


async def _until_asked(issuer: Issuer, times: int) -> None:
    async with asyncio.timeout(20):
        while issuer.asked < times:  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_made_up_keys_do_not_keep_good_tokens_of_a_new_key_out(
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
        assert issuer.asked == 3
        issuer.kids = ["one", "two"]
        answer = await one.get("/chat", issuer.token("two"))
        assert answer.status_code == 503, "it may be newer than the keys that are known"
        now += int(answer.headers["Retry-After"])
        assert (await one.get("/chat", issuer.token("two"))).status_code == 200


async def test_one_question_that_failed_is_soon_asked_again(
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


async def test_tokens_of_made_up_keys_do_not_make_it_ask_again_and_again(
    issuer: Issuer, tmp_path: Path
) -> None:
    async with trusting(issuer, tmp_path) as one:
        tokens = [issuer.token("mine", header={"kid": f"made-up-{n}"}) for n in range(20)]
        answers = await asyncio.gather(*(one.get("/chat", token) for token in tokens))
        assert {answer.status_code for answer in answers} == {401}
        assert issuer.asked == 1


async def test_many_at_the_start_share_one_question(issuer: Issuer, tmp_path: Path) -> None:
    issuer.pause = 0.2
    async with trusting(issuer, tmp_path) as one:
        tokens = [issuer.token(jti=str(n)) for n in range(20)]
        answers = await asyncio.gather(*(one.get("/chat", token) for token in tokens))
        assert {answer.status_code for answer in answers} == {200}
        assert issuer.asked == 1


@pytest.mark.parametrize(
    "broken",
    [b"", b"nonsense", b"[]", b'{"keys": []}', b'{"keys": 7}', b'{"keys": [7, {}]}', b"[" * 50_000,
     b'{"keys": "' + b"x" * 2**20 + b'"}'],
)  # fmt: skip
async def test_a_provider_without_keys_is_no_internal_error(
    issuer: Issuer, tmp_path: Path, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.broken = broken
    async with trusting(issuer, tmp_path) as one:
        answer = await one.get("/chat", issuer.token())
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert f"no keys from {issuer.url}" in caplog.text


async def test_keys_that_are_not_understood_do_no_harm(issuer: Issuer, tmp_path: Path) -> None:
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


async def test_a_provider_that_went_away_or_hangs_leaves_its_keys_behind(
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


async def test_a_provider_that_hangs_has_a_deadline(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "_TIMEOUT_SECONDS", 0.2)
    issuer.pause = 30
    async with trusting(issuer, tmp_path) as one:
        answer = await asyncio.wait_for(one.get("/chat", issuer.token()), 20)
        assert answer.status_code == 503


@pytest.mark.parametrize(
    "says",
    [{"issuer": "https://another.example"}, {"jwks_uri": None}, {"jwks_uri": "file:///etc/passwd"}],
)
async def test_a_discovery_document_that_is_wrong_is_not_followed(
    issuer: Issuer, tmp_path: Path, says: dict[str, Any]
) -> None:
    issuer.says = says
    async with trusting(issuer, tmp_path) as one:
        assert (await one.get("/chat", issuer.token())).status_code == 503
        assert issuer.asked == 0


async def test_where_the_keys_are_can_be_said(issuer: Issuer, tmp_path: Path) -> None:
    issuer.says = {"issuer": "nonsense"}
    async with trusting(issuer, tmp_path, oidc_jwks_url=f"{issuer.url}/keys") as one:
        assert (await one.get("/chat", issuer.token())).status_code == 200
