"""Format and digests of API keys."""

import pytest

from aiapi_service.auth import keys


def test_a_key_is_parsed_from_its_text() -> None:
    key = keys.new_key()
    assert keys.parse(key.text) == key
    assert len(key.secret) == 43, "256 bits in base64url"


def test_keys_are_unique() -> None:
    assert len({keys.new_key().text for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aiapi_",
        "sk-proj-123",
        "aiapi_0123456789abcdef_short",
        "aiapi_0123456789ABCDEF_" + "a" * 43,
        "aiapi_0123456789abcdef_" + "a" * 44,
        "aiapi_0123456789abcdef_" + "a" * 42 + "ä",
        "aiapi_0123456789abcdef_" + "a" * 43 + "\n",
        "aiapi-refresh_" + "a" * 43,
    ],
)
def test_other_text_is_not_parsed(text: str) -> None:
    assert keys.parse(text) is None


def test_only_the_whole_key_matches_its_digest() -> None:
    key, other = keys.new_key(), keys.new_key()
    assert key.matches(key.digest)
    assert not keys.ApiKey(key.id, other.secret).matches(key.digest)
    assert not keys.ApiKey(other.id, key.secret).matches(key.digest)


def test_the_repr_leaves_out_the_secret() -> None:
    key = keys.new_key()
    assert key.secret not in f"{key} {key!r}"
