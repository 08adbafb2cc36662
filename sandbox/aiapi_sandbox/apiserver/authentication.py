"""Bearer token authentication. There is no authorization: a valid token may do everything."""

from __future__ import annotations

import hmac

from aiohttp import web


class TokenAuthenticator:
    """Maps bearer tokens to user names."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}

    def add(self, token: str, user: str) -> None:
        self._users[token] = user

    def remove(self, token: str) -> None:
        self._users.pop(token, None)

    def authenticate(self, request: web.Request) -> str | None:
        """The user name for the request's token, or None."""
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        sent = credentials.strip().encode()
        users = [
            name for token, name in self._users.items() if hmac.compare_digest(token.encode(), sent)
        ]
        return users[0] if users and scheme.lower() == "bearer" else None
