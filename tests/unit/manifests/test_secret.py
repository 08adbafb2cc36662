import base64
from typing import Any

import pytest
from manifests_support.samples import aiapi

from aiapi_operator.manifests import secret
from aiapi_operator.manifests.secret import AdminSecret, ServingTls

TLS = ServingTls(certificate="C", key="K", trusted="T")


def decoded(manifest: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in manifest["data"].items()}


def test_the_content_round_trips() -> None:
    built = secret.build(aiapi(), AdminSecret(token="s3cret", previous="older", tls=TLS))
    assert built["metadata"]["name"] == "assistant-admin-token"
    assert decoded(built) == {
        "token": "s3cret",
        "previous-token": "older",
        "tls.crt": "C",
        "tls.key": "K",
        "ca.crt": "T",
    }
    assert secret.tokens(built) == ("s3cret", "older")
    assert secret.certificate(built) == ("C", "K")


def test_without_tls_and_a_previous_token_there_is_the_token_alone() -> None:
    built = secret.build(aiapi(), AdminSecret(token="s3cret"))
    assert decoded(built) == {"token": "s3cret"}
    assert secret.tokens(built) == ("s3cret",)
    assert secret.certificate(built) == ("", "")


@pytest.mark.parametrize(
    "spoilt",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": {"token": "%"}},
        {"data": {"token": ""}},
        {"data": {"previous-token": "b2xk"}},
    ],
)
def test_a_malformed_secret_has_no_token(spoilt: dict[str, Any]) -> None:
    assert secret.tokens(spoilt) == ()
    assert secret.certificate(spoilt) == ("", "")
