"""Password hashing: bounded threads and queue, and constant work for unknown users."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from aiapi_service.auth.errors import AuthError
from aiapi_service.auth.passwords import PasswordHasher, argon2

CHEAP = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


class Slow:
    """A hash scheme that blocks until released, and records its calls."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.checked: list[str] = []

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def verify_and_update(self, password: str, stored: str) -> tuple[bool, str | None]:
        self.checked.append(stored)
        self.began.set()
        self.may_end.wait(20)
        return stored == self.hash(password), None


@pytest.fixture
def passwords() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(threads=1, queue=4, scheme=CHEAP)
    yield hasher
    hasher.close()


async def test_only_the_right_password_matches(passwords: PasswordHasher) -> None:
    stored = await passwords.hash("correct horse battery")
    assert await passwords.check("correct horse battery", stored) == (True, None)
    assert await passwords.check("correct horse batterie", stored) == (False, None)


async def test_unicode_forms_of_a_password_are_equivalent(passwords: PasswordHasher) -> None:
    stored = await passwords.hash("Scho\u0308nes Wetter")
    assert (await passwords.check("Sch\u00f6nes Wetter", stored))[0]


async def test_the_decoy_password_does_not_match(
    passwords: PasswordHasher,
) -> None:
    assert await passwords.check("decoy password", None) == (False, None)


async def test_an_outdated_hash_is_renewed() -> None:
    stored = CHEAP.hash("correct horse battery")
    stronger = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1),))
    passwords = PasswordHasher(threads=1, queue=1, scheme=stronger)
    right, renewed = await passwords.check("correct horse battery", stored)
    passwords.close()
    assert right
    assert renewed is not None
    assert stronger.verify("correct horse battery", renewed)


async def test_an_unknown_user_costs_the_same_hash_as_a_wrong_password() -> None:
    slow = Slow()
    slow.may_end.set()
    passwords = PasswordHasher(threads=1, queue=4, scheme=slow)  # type: ignore[arg-type]
    await passwords.check("wrong", slow.hash("right"))
    await passwords.check("wrong", None)
    passwords.close()
    assert slow.checked == [slow.hash("right"), slow.hash("decoy password")]


async def test_a_full_queue_refuses_at_once_without_blocking_the_loop() -> None:
    slow = Slow()
    passwords = PasswordHasher(threads=1, queue=2, scheme=slow)  # type: ignore[arg-type]
    inside = [asyncio.create_task(passwords.check("x", "y")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(AuthError) as refusal:
        await passwords.check("x", "y")
    assert (refusal.value.status, refusal.value.headers["Retry-After"]) == (503, "1")
    slow.may_end.set()
    assert await asyncio.gather(*inside) == [(False, None)] * 3
    assert await passwords.check("y", slow.hash("y")) == (True, None), "a slot is free again"
    passwords.close()


async def test_a_disconnected_caller_keeps_its_slot_until_the_thread_ends() -> None:
    slow = Slow()
    passwords = PasswordHasher(threads=1, queue=0, scheme=slow)  # type: ignore[arg-type]
    waiting = asyncio.create_task(passwords.check("x", "y"))
    assert await asyncio.to_thread(slow.began.wait, 10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    with pytest.raises(AuthError):
        await passwords.check("x", "y")
    slow.may_end.set()
    passwords.close()


def test_hashes_are_argon2id_with_current_parameters() -> None:
    stored = argon2().hash("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
