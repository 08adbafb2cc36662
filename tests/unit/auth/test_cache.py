"""Valid credentials are cached for a bounded time; invalid ones are not cached."""

import asyncio

import pytest

from aiapi_service.auth import cache as module
from aiapi_service.auth.cache import CredentialCache, PrincipalWithExpiry
from aiapi_service.auth.errors import AuthError, invalid_token
from aiapi_service.auth.principal import Principal

ANN = Principal("ann", "ann", frozenset({"chat"}), "user")


class Lookup:
    def __init__(self, *, expires: float | None = None) -> None:
        self.calls = 0
        self.expires = expires
        self.refuse = False
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, _credential: str) -> PrincipalWithExpiry:
        self.calls += 1
        self.began.set()
        await self.may_end.wait()
        if self.refuse:
            raise invalid_token()
        return ANN, self.expires


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "wall_clock", lambda: now[0])
    return now


async def test_it_looks_up_once_until_the_entry_expires(clock: list[float]) -> None:
    cache, lookup = CredentialCache(15), Lookup()
    for _ in range(3):
        assert await cache.get("key", lookup) == ANN
    clock[0] += 14.9
    await cache.get("key", lookup)
    assert lookup.calls == 1
    clock[0] += 0.2
    lookup.refuse = True
    with pytest.raises(AuthError):
        await cache.get("key", lookup)
    assert lookup.calls == 2


async def test_an_entry_expires_with_its_credential(clock: list[float]) -> None:
    cache, lookup = CredentialCache(15), Lookup(expires=1004)
    await cache.get("key", lookup)
    clock[0] += 5
    await cache.get("key", lookup)
    assert lookup.calls == 2


async def test_an_invalid_credential_is_not_cached(clock: list[float]) -> None:
    cache, lookup = CredentialCache(15), Lookup()
    lookup.refuse = True
    for _ in range(2):
        with pytest.raises(AuthError):
            await cache.get("key", lookup)
    assert lookup.calls == 2


async def test_concurrent_callers_share_one_lookup_even_if_one_disconnects() -> None:
    cache, lookup = CredentialCache(15), Lookup()
    lookup.may_end.clear()
    callers = [asyncio.create_task(cache.get("key", lookup)) for _ in range(5)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    lookup.may_end.set()
    assert await asyncio.gather(*callers[1:]) == [ANN] * 4
    assert lookup.calls == 1
    await cache.close()


async def test_the_lifetime_counts_from_the_start_of_the_lookup(
    clock: list[float],
) -> None:
    cache, lookup = CredentialCache(15), Lookup()
    lookup.may_end.clear()
    caller = asyncio.create_task(cache.get("key", lookup))
    await lookup.began.wait()
    clock[0] += 10  # the lookup is slow
    lookup.may_end.set()
    await caller
    clock[0] += 6
    await cache.get("key", lookup)
    assert lookup.calls == 2


async def test_it_keeps_a_bounded_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_ENTRIES", 3)
    cache, lookup = CredentialCache(15), Lookup()
    for number in range(10):
        await cache.get(f"key {number}", lookup)
    assert len(cache._entries) == 3


async def test_it_does_not_store_the_credential() -> None:
    cache = CredentialCache(15)
    await cache.get("a very secret key", Lookup())
    assert b"secret" not in repr(cache._entries).encode()
