"""JSON Web Tokens, as far as anybody's can be handled alike. Nothing in a token chooses its key.

``jwk``, ``jku``, ``x5u`` and ``x5c`` in a header are never looked at, and the algorithm is the one
that the key has here.
"""

from collections.abc import Mapping
from typing import Any

import jwt

from aiapi_service.auth.errors import AuthError, invalid_token

MAX_TOKEN_BYTES = 8192
"""Bytes of a token; longer ones are refused unread."""
LEEWAY_SECONDS = 30
"""Clocks may differ by so much."""

Claims = Mapping[str, Any]


def header(text: str) -> Mapping[str, Any]:
    """The header, of which nobody knows yet who wrote it."""
    if len(text) > MAX_TOKEN_BYTES or text.count(".") != 2:
        raise invalid_token()
    try:
        return jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise invalid_token() from None


def claims(text: str, key: Any, *, algorithm: str, issuer: str, audience: str) -> Claims:
    """The claims of a token whose signature, times, issuer and audience are right."""
    try:
        return jwt.decode(
            text,
            key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _refused(error) from None


def _refused(error: Exception) -> AuthError:
    # The kinds of error say nothing that the bearer of a token does not see in it.
    if isinstance(error, jwt.ExpiredSignatureError):
        return invalid_token("It has expired.")
    return invalid_token()
