"""Parses and verifies JSON Web Tokens. A token never chooses its own key or algorithm.

``jwk``, ``jku``, ``x5u`` and ``x5c`` in a header are ignored. The algorithm is that of the
configured key.
"""

from collections.abc import Mapping
from typing import Any

import jwt

from aiapi_service.auth.errors import AuthError, invalid_token

MAX_TOKEN_BYTES = 8192
"""Longer tokens are refused without parsing."""
LEEWAY_SECONDS = 30
"""Tolerated clock difference."""

Claims = Mapping[str, Any]


def header(text: str) -> Mapping[str, Any]:
    """The header, not verified yet."""
    if len(text) > MAX_TOKEN_BYTES or text.count(".") != 2:
        raise invalid_token()
    try:
        return jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise invalid_token() from None


def claims(text: str, key: Any, *, algorithm: str, issuer: str, audience: str) -> Claims:
    """Verify signature, times, issuer and audience of a token and return its claims."""
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
    # The bearer can read the expiry in the token, so this reveals nothing.
    if isinstance(error, jwt.ExpiredSignatureError):
        return invalid_token("The token has expired.")
    return invalid_token()
