"""Authentication errors. The texts never reveal which users or keys exist."""

from collections.abc import Mapping


class AuthError(Exception):
    """A refused request. ``extra`` holds further members of the problem details."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = _TITLES[kind]
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


_TITLES = {
    "unauthenticated": "Authentication is required",
    "invalid-token": "The token is not valid",
    "insufficient-scope": "The token does not allow this",
    "too-many-attempts": "Too many attempts",
    "too-many-requests": "Too many requests",
    "too-many-tokens": "Too many tokens",
    "auth-busy": "Authentication is busy",
    "invalid-grant": "The grant is not valid",
    "invalid-request": "The request is not valid",
    "no-log-in": "Login is not available",
}


def unauthenticated() -> AuthError:
    """The request has no credentials."""
    return AuthError(
        401,
        "unauthenticated",
        "Send an API key or an access token as 'Authorization: Bearer ...'.",
        headers={"WWW-Authenticate": 'Bearer realm="aiapi"'},
    )


def invalid_token(
    detail: str = "The token is unknown, malformed, expired or revoked.",
) -> AuthError:
    """The credentials are not valid. The reason is not revealed."""
    return AuthError(
        401,
        "invalid-token",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="aiapi", error="invalid_token"'},
    )


def insufficient_scope(missing: list[str]) -> AuthError:
    """Authenticated, but a scope is missing."""
    scopes = " ".join(missing)
    challenge = f'Bearer realm="aiapi", error="insufficient_scope", scope="{scopes}"'
    return AuthError(
        403,
        "insufficient-scope",
        f"The token lacks the scope {scopes}.",
        headers={"WWW-Authenticate": challenge},
    )


def too_many_attempts(seconds: int) -> AuthError:
    """Over the limit of an account or an address; which one is not revealed."""
    return AuthError(
        429,
        "too-many-attempts",
        f"Retry in {seconds} s.",
        headers={"Retry-After": str(seconds)},
        extra={"error": "slow_down", "error_description": f"retry in {seconds} s"},
    )


def too_many_requests(allowed: int, seconds: int) -> AuthError:
    """Over the rate limit of the caller."""
    return AuthError(
        429,
        "too-many-requests",
        f"The limit is {allowed} requests a minute. Retry in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )


def too_many_tokens(allowed: int, period: str, seconds: int) -> AuthError:
    """Over a token limit of the caller."""
    return AuthError(
        429,
        "too-many-tokens",
        f"The limit is {allowed} tokens a {period}. Retry in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )


def hashing_busy(seconds: int = 1) -> AuthError:
    """The queue for password checks is full."""
    return AuthError(
        503,
        "auth-busy",
        "Too many passwords are being checked at once. Retry shortly.",
        headers={"Retry-After": str(seconds)},
        extra={"error": "temporarily_unavailable"},
    )


def grant_error(error: str, detail: str, *, status: int = 400) -> AuthError:
    """An error response of the token endpoint, with the members of RFC 6749."""
    kind = "invalid-grant" if error == "invalid_grant" else "invalid-request"
    return AuthError(
        status,
        kind,
        detail,
        headers={"Cache-Control": "no-store"},
        extra={"error": error, "error_description": detail},
    )


def login_unavailable(detail: str) -> AuthError:
    """The password flow is not configured."""
    return AuthError(
        503,
        "no-log-in",
        detail,
        # Only a change of settings helps.
        headers={"Retry-After": "60"},
        extra={"error": "temporarily_unavailable"},
    )
