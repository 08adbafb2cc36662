"""API keys: ``aiapi_<id>_<secret>``. The id finds the row; only the secret's digest is stored.

256 random bits need no slow hash: nobody can try them all, so SHA-256 does.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

PREFIX = "aiapi_"
_FORM = re.compile(r"aiapi_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True)
class ApiKey:
    """A key as its owner holds it. It prints without its secret."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"ApiKey({self.id})"

    @property
    def text(self) -> str:
        """What the owner sends."""
        return f"{PREFIX}{self.id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """What is stored."""
        return hashlib.sha256(self.text.encode()).digest()

    def matches(self, digest: bytes) -> bool:
        """Compare in a time that tells nothing."""
        return hmac.compare_digest(self.digest, digest)


def new_key() -> ApiKey:
    """A key that nobody can guess."""
    return ApiKey(secrets.token_hex(8), secrets.token_urlsafe(32))


def parse(text: str) -> ApiKey | None:
    """The key in this text, if it has the form of one."""
    match = _FORM.fullmatch(text)
    return ApiKey(match[1], match[2]) if match else None
