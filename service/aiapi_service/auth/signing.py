"""The keys that sign access tokens. The key determines the algorithm, never the token.

A new key is published before it signs, and an old key verifies until its last token has expired,
so pods may read the file at different times.
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ALGORITHMS = ("EdDSA", "ES256", "RS256", "HS256")
_FIELDS = {"kid", "algorithm", "secret", "signs_from", "verifies_until"}
_PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)


@dataclass(frozen=True)
class SigningKey:
    """One key. ``secret`` is a private key as PEM, or base64url for HMAC."""

    kid: str
    algorithm: str
    secret: str
    signs_from: float
    verifies_until: float | None = None

    def __repr__(self) -> str:
        return f"SigningKey({self.kid}, {self.algorithm})"

    @cached_property
    def _private(self) -> Any:
        if self.algorithm == "HS256":
            return base64.b64decode(self.secret, altchars=b"-_", validate=True)
        return serialization.load_pem_private_key(self.secret.encode(), password=None)

    @property
    def to_sign(self) -> Any:
        """The key for PyJWT to sign with."""
        return self._private

    @cached_property
    def to_verify(self) -> Any:
        """The key for PyJWT to verify with."""
        return self._private if self.algorithm == "HS256" else self._private.public_key()

    def checked(self) -> "SigningKey":
        """The key itself; ValueError when it does not fit its algorithm."""
        fits: dict[str, Callable[[Any], bool]] = {
            "HS256": lambda key: isinstance(key, bytes) and len(key) >= 32,
            "EdDSA": lambda key: isinstance(key, ed25519.Ed25519PrivateKey),
            "ES256": lambda key: (
                isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
            ),
            "RS256": lambda key: isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048,
        }
        if not fits[self.algorithm](self._private):
            raise ValueError("the key does not match its algorithm or is too short")
        return self


@dataclass(frozen=True)
class Keyring:
    """All keys of a file."""

    keys: tuple[SigningKey, ...]

    def signer(self, now: float) -> SigningKey:
        """The newest key that may sign."""
        ready = [key for key in self.keys if key.signs_from <= now]
        return max(ready or self.keys, key=lambda key: key.signs_from)

    def verifier(self, kid: object, now: float) -> SigningKey | None:
        """The key of this id, unless it has been retired."""
        for key in self.keys:
            if key.kid == kid and (key.verifies_until is None or now < key.verifies_until):
                return key
        return None

    def rotated(self, new_key: SigningKey, *, now: float, token_seconds: float) -> "Keyring":
        """Add a key. Older keys verify until their last tokens have expired."""
        until = new_key.signs_from + token_seconds
        kept = [
            SigningKey(**{**asdict(key), "verifies_until": min(until, key.verifies_until or until)})
            for key in self.keys
            if key.verifies_until is None or key.verifies_until > now
        ]
        return Keyring((*kept, new_key))

    def dump(self) -> str:
        """The content of the file."""
        return json.dumps({"keys": [asdict(key) for key in self.keys]}, indent=2) + "\n"


def parse(text: str) -> Keyring:
    """Parse the content of a file; ValueError, KeyError or TypeError when it is not valid."""
    keys = tuple(_key(entry) for entry in json.loads(text)["keys"])
    if not keys:
        raise ValueError("the file has no keys")
    if len({key.kid for key in keys}) < len(keys):
        raise ValueError("two keys have the same id")
    return Keyring(keys)


def _key(entry: Mapping[str, Any]) -> SigningKey:
    if set(entry) - _FIELDS:
        raise ValueError("a key has an unknown field")
    for name in ("kid", "algorithm", "secret"):
        if not isinstance(entry[name], str):
            raise TypeError(f"{name} of a key is not a string")
    if not _is_time(entry["signs_from"]):
        raise TypeError("signs_from of a key is not a number")
    if entry.get("verifies_until") is not None and not _is_time(entry["verifies_until"]):
        raise TypeError("verifies_until of a key is not a number")
    return SigningKey(**entry).checked()


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def new_key(algorithm: str, *, signs_from: float) -> SigningKey:
    """Generate a key."""
    return SigningKey(secrets.token_hex(8), algorithm, _secret(algorithm), signs_from)


def _secret(algorithm: str) -> str:
    if algorithm == "HS256":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    makers: dict[str, Callable[[], Any]] = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }
    pem: bytes = makers[algorithm]().private_bytes(*_PEM, serialization.NoEncryption())
    return pem.decode()
