"""API keys: ``aiapi_<id>_<secret>``. Keys are looked up by id; only a digest is stored.

SHA-256 is enough: a secret of 256 random bits cannot be guessed, so a slow hash adds nothing.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

PREFIX = "aiapi_"
_PATTERN = re.compile(r"aiapi_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True)
class ApiKey:
    """An API key. Its repr leaves out the secret."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"ApiKey({self.id})"

    @property
    def text(self) -> str:
        """The key as the owner sends it."""
        return f"{PREFIX}{self.id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """The digest of the key, as it is stored."""
        return hashlib.sha256(self.text.encode()).digest()

    def matches(self, digest: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.digest, digest)


def new_key() -> ApiKey:
    """Generate a key."""
    return ApiKey(secrets.token_hex(8), secrets.token_urlsafe(32))


def parse(text: str) -> ApiKey | None:
    """Parse an API key; None when the format is wrong."""
    match = _PATTERN.fullmatch(text)
    return ApiKey(match[1], match[2]) if match else None
