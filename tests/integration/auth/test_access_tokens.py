"""Access tokens: forged, expired and revoked ones are refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from store_support.service import CHEAP, PASSWORD, Service, service

from aiapi_service.auth import signing
from aiapi_service.auth.signing import Keyring, SigningKey


@pytest.fixture
async def ann(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Service, dict[str, Any]]]:
    """A service, and the response to Ann's login."""
    async with service(tmp_path, database_url) as one:
        name = f"ann-{uuid4().hex[:8]}"
        await one.add_user(name)
        answer = await one.log_in(name)
        assert answer.status_code == 200, answer.text
        yield one, answer.json()


def _key(one: Service) -> SigningKey:
    assert one.settings.auth_signing_keys_file is not None
    return signing.parse(one.settings.auth_signing_keys_file.read_text()).keys[0]


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header = jwt.get_unverified_header(token)
    return header, jwt.decode(token, options={"verify_signature": False})


def _encode(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def test_login_returns_a_valid_token(ann: tuple[Service, Any]) -> None:
    one, pair = ann
    assert pair["token_type"] == "Bearer"
    assert pair["expires_in"] == 600
    answer = await one.get("/v1/auth/me", pair["access_token"])
    assert answer.status_code == 200
    assert answer.json()["kind"] == "user"
    assert answer.json()["subject"].startswith("ann-")


async def test_a_request_without_a_token_gets_401(ann: tuple[Service, Any]) -> None:
    one, _ = ann
    answer = await one.get("/chat")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="aiapi"'
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("Send an API key or an access token")


Forge = Callable[[dict[str, Any], dict[str, Any], SigningKey], str]


def _signed(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    return jwt.encode(claims, key.to_sign, algorithm="RS256", headers=header)


def _alg_none(header: dict[str, Any], claims: dict[str, Any], _: SigningKey) -> str:
    return f"{_encode(header | {'alg': 'none'})}.{_encode(claims)}."


def _hmac_of_the_public_key(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    pem = key.to_verify.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{_encode(header | {'alg': 'HS256'})}.{_encode(claims)}"
    mac = hmac.digest(pem, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@cache
def _attackers_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _own_key(name: str) -> Forge:
    def forge(header: dict[str, Any], claims: dict[str, Any], _: SigningKey) -> str:
        mine = _attackers_key()
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(mine.public_key()))
        value = jwk if name == "jwk" else "http://127.0.0.1:9/keys"
        return jwt.encode(claims, mine, algorithm="RS256", headers=header | {name: value})

    return forge


def _with_claims(**changes: Any) -> Forge:
    def forge(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
        changed = {**claims, **changes}
        kept = {name: value for name, value in changed.items() if value is not None}
        return _signed(header, kept, key)

    return forge


def _with_header(**changes: Any) -> Forge:
    def forge(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
        return _signed(header | changes, claims, key)

    return forge


def _truncated(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    return _signed(header, claims, key)[:-5]


def _other_payload(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    first, _, last = _signed(header, claims, key).split(".")
    return f"{first}.{_encode(claims | {'sub': str(uuid4())})}.{last}"


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(_alg_none, id="alg none"),
        pytest.param(_hmac_of_the_public_key, id="RS/HS confusion"),
        pytest.param(_with_header(kid="another"), id="unknown kid"),
        pytest.param(_with_header(kid=""), id="empty kid"),
        pytest.param(_with_header(typ="JWT"), id="another token type"),
        pytest.param(_own_key("jwk"), id="jwk in the header"),
        pytest.param(_own_key("jku"), id="jku in the header"),
        pytest.param(_own_key("x5u"), id="x5u in the header"),
        pytest.param(_with_claims(exp=int(time.time()) - 60), id="expired"),
        pytest.param(_with_claims(exp=None), id="without expiry"),
        pytest.param(_with_claims(exp="soon"), id="invalid expiry"),
        pytest.param(_with_claims(nbf=int(time.time()) + 3600), id="not yet valid"),
        pytest.param(_with_claims(iat=int(time.time()) + 3600), id="from the future"),
        pytest.param(_with_claims(aud="another"), id="wrong audience"),
        pytest.param(_with_claims(aud=None), id="without audience"),
        pytest.param(_with_claims(iss="another"), id="wrong issuer"),
        pytest.param(_with_claims(sid=str(uuid4())), id="unknown session"),
        pytest.param(_with_claims(sid=None), id="without session"),
        pytest.param(_with_claims(sub=str(uuid4())), id="another user"),
        pytest.param(_truncated, id="truncated"),
        pytest.param(_other_payload, id="changed payload"),
    ],
)
async def test_a_forged_token_gets_401(ann: tuple[Service, Any], forge: Forge) -> None:
    one, pair = ann
    header, claims = _parts(pair["access_token"])
    answer = await one.get("/chat", forge(header, claims, _key(one)))
    assert answer.status_code == 401, answer.text
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_an_unmodified_copy_is_accepted(ann: tuple[Service, Any]) -> None:
    one, pair = ann
    header, claims = _parts(pair["access_token"])
    assert (await one.get("/chat", _signed(header, claims, _key(one)))).status_code == 200


async def test_a_token_has_no_more_scopes_than_its_user(database_url: str, tmp_path: Path) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("only-chat", scopes=frozenset({"chat"}))
        pair = (await one.log_in("only-chat")).json()
        header, claims = _parts(pair["access_token"])
        token = _signed(header, claims | {"scope": "chat documents:write"}, _key(one))
        answer = await one.get("/both", token)
    assert answer.status_code == 403
    assert 'scope="documents:write"' in answer.headers["WWW-Authenticate"]


async def test_refresh_and_access_tokens_are_not_interchangeable(
    ann: tuple[Service, Any],
) -> None:
    one, pair = ann
    assert (await one.get("/chat", pair["refresh_token"])).status_code == 401
    answer = await one.refresh(pair["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "token",
    [
        "a" * 8193,
        "a" * 200_000,
        ".".join(["a" * 2700] * 3) + "aaaaa",
        base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.e30",
        base64.urlsafe_b64encode(b'{"alg":' + b"[" * 2500).decode().rstrip("=") + ".e30.e30",
        "e30.e30.e30",
        "..",
        "bnVsbA.e30.e30",
        "W10.e30.e30",
    ],
)
async def test_oversized_and_malformed_tokens_are_refused(
    ann: tuple[Service, Any], token: str
) -> None:
    one, _ = ann
    assert (await one.get("/chat", token)).status_code == 401


async def test_logout_revokes_access_and_refresh_token(
    ann: tuple[Service, Any],
) -> None:
    one, pair = ann
    assert (await one.get("/chat", pair["access_token"])).status_code == 200
    assert (await one.revoke(pair["access_token"])).status_code == 200
    assert (await one.get("/chat", pair["access_token"])).status_code == 401
    assert (await one.refresh(pair["refresh_token"])).status_code == 400


async def test_a_disabled_user_is_refused(ann: tuple[Service, Any]) -> None:
    one, pair = ann
    name = (await one.get("/v1/auth/me", pair["access_token"])).json()["subject"]
    await one.accounts.set_disabled(name, disabled=True)
    assert (await one.get("/chat", pair["access_token"])).status_code == 401
    assert (await one.refresh(pair["refresh_token"])).status_code == 400
    assert (await one.log_in(name)).status_code == 400


async def test_a_new_password_ends_all_sessions(ann: tuple[Service, Any]) -> None:
    one, pair = ann
    name = (await one.get("/v1/auth/me", pair["access_token"])).json()["subject"]
    await one.accounts.set_password(name, CHEAP.hash("another long password"))
    assert (await one.get("/chat", pair["access_token"])).status_code == 401
    assert (await one.log_in(name, PASSWORD)).status_code == 400
    assert (await one.log_in(name, "another long password")).status_code == 200


async def test_tokens_of_the_old_key_stay_valid_after_rotation(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(tmp_path, database_url) as one:
        await one.add_user("rotation")
        old = (await one.log_in("rotation")).json()["access_token"]
        path = one.settings.auth_signing_keys_file
        assert path is not None
        now = time.time()
        ring = signing.parse(path.read_text())
        fresh = signing.new_key("EdDSA", signs_from=now - 1)
        path.write_text(ring.rotated(fresh, now=now, token_seconds=600).dump())
        later = time.monotonic() + 60
        monkeypatch.setattr("aiapi_service.auth.secret_files.monotonic", lambda: later)
        new = (await one.log_in("rotation")).json()["access_token"]
        assert jwt.get_unverified_header(new)["kid"] == fresh.kid
        assert (await one.get("/chat", old)).status_code == 200
        assert (await one.get("/chat", new)).status_code == 200
        path.write_text(Keyring((fresh,)).dump())
        later += 60
        assert (await one.get("/chat", old)).status_code == 401
