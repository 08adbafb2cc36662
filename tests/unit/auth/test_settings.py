"""Contradictory settings are refused, with the names of the variables."""

import pytest
from pydantic import ValidationError

from aiapi_service.auth.settings import AuthSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"oidc_issuer": "https://id.example"}, "requires AIAPI_OIDC_AUDIENCE"),
        ({"oidc_audience": "me"}, "require AIAPI_OIDC_ISSUER"),
        ({"oidc_issuer": "http://id.example", "oidc_audience": "me"}, "must be an https:// URL"),
        ({"oidc_issuer": "ftp://id.example", "oidc_audience": "me"}, "must be an https:// URL"),
        ({"oidc_issuer": "https://", "oidc_audience": "me"}, "must be an https:// URL"),
        (
            {"oidc_issuer": "https://a", "oidc_audience": "me", "oidc_jwks_url": "http://a/keys"},
            "AIAPI_OIDC_JWKS_URL must be",
        ),
        (
            {"oidc_issuer": "https://a", "oidc_audience": "me", "auth_issuer": "https://a"},
            "must differ",
        ),
        ({"oidc_algorithms": "HS256"}, "oidc_algorithms"),
        ({"oidc_algorithms": "none"}, "oidc_algorithms"),
        ({"oidc_scopes": "chat,everything"}, "unknown scope everything"),
        ({"auth": "no"}, "auth"),
        ({"database_url": "mysql://a"}, "postgresql://"),
    ],
)
def test_a_bad_setting_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AuthSettings.model_validate(settings)


def test_http_is_allowed_on_loopback_only() -> None:
    values = {"oidc_issuer": "http://127.0.0.1:8080/realm", "oidc_audience": "me"}
    assert AuthSettings.model_validate(values).oidc_issuer == values["oidc_issuer"]


def test_lists_are_separated_by_commas_or_spaces() -> None:
    settings = AuthSettings.model_validate({"oidc_algorithms": "RS256, ES256"})
    assert settings.oidc_algorithms == ("RS256", "ES256")


def test_authentication_is_on_by_default() -> None:
    assert AuthSettings().auth == "on"
