import base64
from typing import Any

import pytest
from manifests_support.samples import aiapi

from aiapi_operator.manifests import secret


def test_a_token_round_trips() -> None:
    built = secret.build(aiapi(), "s3cret")
    assert built["metadata"]["name"] == "assistant-admin-token"
    assert base64.b64decode(built["data"]["token"]) == b"s3cret"
    assert secret.token(built) == "s3cret"


@pytest.mark.parametrize(
    "spoilt", [{}, {"data": None}, {"data": {}}, {"data": {"token": "%"}}, {"data": {"token": ""}}]
)
def test_a_malformed_secret_has_no_token(spoilt: dict[str, Any]) -> None:
    assert secret.token(spoilt) is None
