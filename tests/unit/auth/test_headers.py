"""No Authorization header causes an internal error."""

import asyncio
import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_support.service import make_app

from aiapi_service.auth import key_file, keys
from aiapi_service.auth.authenticator import AccessTokens, Authenticator
from aiapi_service.auth.cache import CredentialCache
from aiapi_service.auth.factory import Auth
from aiapi_service.auth.secret_files import WatchedFile, write_secret
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.auth.signing import Keyring, new_key, parse

KEY = keys.new_key()
KID = "0123456789abcdef"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder: Path = tmp_path_factory.mktemp("auth")
    ring = Keyring((new_key("HS256", signs_from=0),))
    write_secret(folder / "signing.json", ring.dump().replace(ring.keys[0].kid, KID))
    write_secret(folder / "key", KEY.text)
    app = make_app()
    authenticator = Authenticator(
        cache=CredentialCache(0),
        file_keys=WatchedFile(folder / "key", lambda _: key_file.local(KEY)),
        tokens=AccessTokens(AuthSettings(), WatchedFile(folder / "signing.json", parse)),
    )
    app.state.services = SimpleNamespace(auth=Auth(authenticator, None), rate_limiter=None)
    return app


def call(app: FastAPI, headers: list[tuple[bytes, bytes]]) -> int:
    """The status of a request with these raw headers."""
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/both",
        "raw_path": b"/both",
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": ("service", 80),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    status: int = messages[0]["status"]
    return status


_encoded = st.binary(max_size=300).map(base64.urlsafe_b64encode)
_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_header = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["HS256", "none", "RS256", "EdDSA", ""]) | _json,
        "kid": st.just(KID) | _json,
        "typ": st.just("at+jwt") | _json,
        "crit": _json,
        "b64": _json,
        "jwk": _json,
        "zip": _json,
    },
)
_part = (_header | _json).map(lambda part: base64.urlsafe_b64encode(json.dumps(part).encode()))
_token = st.tuples(_part | _encoded, _part | _encoded, _encoded | st.just(b"")).map(b".".join)
_key = st.tuples(
    st.just(KEY.id.encode()) | st.binary(max_size=20), st.binary(max_size=50) | st.just(b"a" * 43)
).map(lambda parts: b"aiapi_" + b"_".join(parts))
_scheme = st.sampled_from([b"Bearer ", b"bearer ", b"BEARER\t", b"Basic ", b"", b"Bearer  "])
_value = st.tuples(_scheme, _token | _key | st.binary(max_size=400)).map(b"".join)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_value, min_size=1, max_size=3))
def test_every_invalid_header_gets_401(app: FastAPI, values: list[bytes]) -> None:
    assert call(app, [(b"authorization", value) for value in values]) == 401


def test_only_one_valid_header_is_accepted(app: FastAPI) -> None:
    right = b"Bearer " + KEY.text.encode()
    assert call(app, [(b"authorization", right)]) == 200
    assert call(app, [(b"authorization", right), (b"authorization", right)]) == 401
    assert call(app, [(b"authorization", right.replace(b"Bearer", b"Basic"))]) == 401
    assert call(app, []) == 401
