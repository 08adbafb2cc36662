"""The Secret of the pods' admin port: its bearer token, and its certificate where it serves TLS."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.owner import child_metadata

TOKEN_KEY = "token"  # noqa: S105 - the name of the key, not a token
_PREVIOUS_KEY = "previous-token"
_CERTIFICATE, _PRIVATE_KEY, _TRUSTED = "tls.crt", "tls.key", "ca.crt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingTls:
    """What a pod serves TLS with, and the CAs that its clients trust, all as PEM."""

    certificate: str
    key: str = field(repr=False)
    trusted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSecret:
    """The content of the Secret."""

    token: str = field(repr=False)
    previous: str = field(default="", repr=False)
    """The token before this one, for an operator that starts before every pod has the new one."""
    tls: ServingTls | None = None


def name(aiapi: AIApi) -> str:
    """The name of the Secret."""
    return f"{aiapi.name}-admin-token"


def build(aiapi: AIApi, content: AdminSecret) -> dict[str, Any]:
    """The Secret with this content."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": child_metadata(aiapi, name(aiapi)),
        "type": "Opaque",
        "data": {
            key: base64.b64encode(text.encode()).decode() for key, text in _texts(content).items()
        },
    }


def _texts(content: AdminSecret) -> dict[str, str]:
    texts = {TOKEN_KEY: content.token}
    if content.previous:
        texts[_PREVIOUS_KEY] = content.previous
    if content.tls is not None:
        texts[_CERTIFICATE] = content.tls.certificate
        texts[_PRIVATE_KEY] = content.tls.key
        texts[_TRUSTED] = content.tls.trusted
    return texts


def tokens(secret: Mapping[str, Any]) -> tuple[str, ...]:
    """The token in a Secret and the previous one; none where it has no token."""
    token = _text(secret, TOKEN_KEY)
    previous = _text(secret, _PREVIOUS_KEY)
    return tuple(each for each in (token, previous) if each) if token else ()


def certificate(secret: Mapping[str, Any]) -> tuple[str, str]:
    """The certificate and its key in a Secret; empty where it has none."""
    return _text(secret, _CERTIFICATE), _text(secret, _PRIVATE_KEY)


def _text(secret: Mapping[str, Any], key: str) -> str:
    try:
        return base64.b64decode(secret["data"][key], validate=True).decode()
    except (KeyError, TypeError, ValueError):
        return ""
