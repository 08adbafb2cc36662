"""Signing keys: strict parsing, and rotation with overlap."""

import json
from dataclasses import replace

import pytest

from aiapi_service.auth import signing
from aiapi_service.auth.signing import ALGORITHMS, Keyring, new_key, parse


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_survives_a_round_trip(algorithm: str) -> None:
    ring = Keyring((new_key(algorithm, signs_from=0),))
    assert parse(ring.dump()) == ring


def test_rotation_overlaps_old_and_new_keys() -> None:
    old = new_key("EdDSA", signs_from=0)
    ring = Keyring((old,)).rotated(new_key("EdDSA", signs_from=1300), now=1000, token_seconds=600)
    fresh = ring.keys[1]
    assert ring.signer(1000).kid == old.kid
    assert ring.verifier(fresh.kid, 1000) == fresh
    assert ring.signer(1300) == fresh
    assert ring.verifier(old.kid, 1899) is not None, "its last token expires at 1900"
    assert ring.verifier(old.kid, 1900) is None


def test_a_second_rotation_drops_expired_keys_and_extends_none() -> None:
    ring = Keyring((new_key("HS256", signs_from=0),))
    for now in (1000, 1100, 5000):
        ring = ring.rotated(new_key("HS256", signs_from=now), now=now, token_seconds=600)
    assert [key.verifies_until for key in ring.keys] == [5600, None]


def test_an_unknown_key_id_has_no_verifier() -> None:
    ring = Keyring((new_key("HS256", signs_from=0),))
    assert ring.verifier("another", 0) is None
    assert ring.verifier(None, 0) is None
    assert ring.verifier(["list"], 0) is None


def _entry(**changes: object) -> dict[str, object]:
    entry: dict[str, object] = json.loads(Keyring((new_key("EdDSA", signs_from=0),)).dump())[
        "keys"
    ][0]
    return entry | changes


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"keys": []},
        {"keys": [_entry(algorithm="none")]},
        {"keys": [_entry(algorithm="HS256")]},
        {"keys": [_entry(algorithm="RS256")]},
        {"keys": [_entry(secret="nonsense")]},
        {"keys": [_entry(algorithm="HS256", secret="c2hvcnQ=")]},
        {"keys": [_entry(extra=1)]},
        {"keys": [_entry(secret=5)]},
        {"keys": [_entry(kid=["list"])]},
        {"keys": [_entry(signs_from="2026-01-01")]},
        {"keys": [_entry(signs_from=True)]},
        {"keys": [_entry(verifies_until="2026-01-01")]},
        {"keys": [_entry(kid="one"), _entry(kid="one")]},
    ],
)
def test_an_invalid_file_is_refused(document: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse(json.dumps(document))


def test_the_repr_leaves_out_the_secret() -> None:
    key = new_key("HS256", signs_from=0)
    assert key.secret not in f"{key!r} {Keyring((key,))!r}"
    assert replace(key, kid="x") != key


def test_an_rsa_key_that_is_too_short_is_refused() -> None:
    rsa = signing.rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = rsa.private_bytes(*signing._PEM, signing.serialization.NoEncryption()).decode()
    with pytest.raises(ValueError, match="too short"):
        parse(json.dumps({"keys": [_entry(algorithm="RS256", secret=pem)]}))
