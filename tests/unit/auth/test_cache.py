"""Who was let in lately is remembered for a stated time, and nobody else."""

import asyncio

import pytest

from aiapi_service.auth import cache as module
from aiapi_service.auth.cache import CredentialCache, PrincipalWithExpiry
from aiapi_service.auth.errors import AuthError, invalid_token
from aiapi_service.auth.principal import Principal

ANN = Principal("ann", "ann", frozenset({"chat"}), "user")


class Asked:
    def __init__(self, *, expires: float | None = None) -> None:
        self.times = 0
        self.expires = expires
        self.refuse = False
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, _credential: str) -> PrincipalWithExpiry:
        self.times += 1
        self.began.set()
        await self.go.wait()
        if self.refuse:
            raise invalid_token()
        return ANN, self.expires


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "wall_clock", lambda: now[0])
    return now


async def test_it_asks_once_and_again_when_the_time_is_over(clock: list[float]) -> None:
    cache, ask = CredentialCache(15), Asked()
    for _ in range(3):
        assert await cache.get("key", ask) == ANN
    clock[0] += 14.9
    await cache.get("key", ask)
    assert ask.times == 1
    clock[0] += 0.2
    ask.refuse = True
    with pytest.raises(AuthError):
        await cache.get("key", ask)
    assert ask.times == 2


async def test_a_credential_is_never_remembered_beyond_its_own_end(clock: list[float]) -> None:
    cache, ask = CredentialCache(15), Asked(expires=1004)
    await cache.get("key", ask)
    clock[0] += 5
    await cache.get("key", ask)
    assert ask.times == 2


async def test_a_refusal_is_not_remembered(clock: list[float]) -> None:
    cache, ask = CredentialCache(15), Asked()
    ask.refuse = True
    for _ in range(2):
        with pytest.raises(AuthError):
            await cache.get("key", ask)
    assert ask.times == 2


async def test_many_at_once_share_one_look_up_and_one_who_leaves_takes_it_from_none() -> None:
    cache, ask = CredentialCache(15), Asked()
    ask.go.clear()
    callers = [asyncio.create_task(cache.get("key", ask)) for _ in range(5)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    ask.go.set()
    assert await asyncio.gather(*callers[1:]) == [ANN] * 4
    assert ask.times == 1
    await cache.close()


async def test_what_was_refused_after_the_look_up_began_is_refused_in_time(
    clock: list[float],
) -> None:
    cache, ask = CredentialCache(15), Asked()
    ask.go.clear()
    caller = asyncio.create_task(cache.get("key", ask))
    await ask.began.wait()
    clock[0] += 10  # the look-up is slow
    ask.go.set()
    await caller
    clock[0] += 6
    await cache.get("key", ask)
    assert ask.times == 2


async def test_it_keeps_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    cache, ask = CredentialCache(15), Asked()
    for number in range(10):
        await cache.get(f"key {number}", ask)
    assert len(cache._known) == 3


async def test_it_does_not_hold_the_credential() -> None:
    cache = CredentialCache(15)
    await cache.get("a very secret key", Asked())
    assert b"secret" not in repr(cache._known).encode()
