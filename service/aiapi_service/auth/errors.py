"""Refusals. Their texts tell a caller what to do, and nothing about who exists."""

from collections.abc import Mapping


class AuthError(Exception):
    """A request that is not let through. ``extra`` are further members of the answer's body."""

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
    "unauthenticated": "Authentication is needed",
    "invalid-token": "The token is not valid",
    "insufficient-scope": "The token does not allow this",
    "too-many-attempts": "Too many attempts",
    "too-many-requests": "Too many requests",
    "auth-busy": "Authentication is busy",
    "invalid-grant": "The grant is not valid",
    "invalid-request": "The request is not valid",
    "no-log-in": "Nobody can log in here",
}


def unauthenticated() -> AuthError:
    """No credentials were given."""
    return AuthError(
        401,
        "unauthenticated",
        "Send an API key or an access token as 'Authorization: Bearer ...'.",
        headers={"WWW-Authenticate": 'Bearer realm="aiapi"'},
    )


def invalid_token(detail: str = "It is unknown, malformed, expired or revoked.") -> AuthError:
    """Credentials were given, and they are no good. Why is for the log."""
    return AuthError(
        401,
        "invalid-token",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="aiapi", error="invalid_token"'},
    )


def insufficient_scope(missing: list[str]) -> AuthError:
    """Known, but not allowed."""
    wanted = " ".join(missing)
    challenge = f'Bearer realm="aiapi", error="insufficient_scope", scope="{wanted}"'
    return AuthError(
        403,
        "insufficient-scope",
        f"It lacks the scope {wanted}.",
        headers={"WWW-Authenticate": challenge},
    )


def too_many_attempts(seconds: int) -> AuthError:
    """Over the limit of an account or an address; which of them is not said."""
    return AuthError(
        429,
        "too-many-attempts",
        f"Try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
        extra={"error": "slow_down", "error_description": f"try again in {seconds} s"},
    )


def too_many_requests(allowed: int, seconds: int) -> AuthError:
    """Over the caller's own limit."""
    return AuthError(
        429,
        "too-many-requests",
        f"You may make {allowed} requests a minute. Try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )


def hashing_busy(seconds: int = 1) -> AuthError:
    """More passwords are being checked than there is room for."""
    return AuthError(
        503,
        "auth-busy",
        "Too many passwords are being checked at once. Try again soon.",
        headers={"Retry-After": str(seconds)},
        extra={"error": "temporarily_unavailable"},
    )


def grant_error(error: str, detail: str, *, status: int = 400) -> AuthError:
    """An answer of the token endpoint, with the members that OAuth 2 clients read."""
    kind = "invalid-grant" if error == "invalid_grant" else "invalid-request"
    return AuthError(
        status,
        kind,
        detail,
        headers={"Cache-Control": "no-store"},
        extra={"error": error, "error_description": detail},
    )


def login_unavailable(detail: str) -> AuthError:
    """There is no password flow as this service is configured."""
    return AuthError(
        503,
        "no-log-in",
        detail,
        # Somebody has to change a setting first.
        headers={"Retry-After": "60"},
        extra={"error": "temporarily_unavailable"},
    )
