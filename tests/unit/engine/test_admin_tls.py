"""The Secret of the CA: read once a term, written only over the version that was read."""

import asyncio
import copy
from typing import Any

import pytest

from aiapi_operator.cluster.errors import Conflict, Forbidden
from aiapi_operator.cluster.secret_store import StoredSecret
from aiapi_operator.engine import authority
from aiapi_operator.engine.admin_tls import AdminTlsKeeper
from aiapi_operator.engine.certificates import CA_LIFE

DAY = 86_400.0


class Secret:
    """A Secret in memory, which others may write between a read and a write."""

    name = "admin-ca"

    def __init__(self) -> None:
        self.manifest: dict[str, Any] | None = None
        self.reads = self.writes = 0
        self.error: Exception | None = None
        self.others: list[dict[str, str]] = []

    async def read(self) -> StoredSecret | None:
        self.reads += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return StoredSecret(copy.deepcopy(self.manifest)) if self.manifest else None

    async def create(self, data: dict[str, str]) -> None:
        self._interfere()
        if self.manifest is not None:
            raise Conflict("it exists")
        self._put({"metadata": {"labels": {}}}, data)

    async def replace(self, stored: StoredSecret, data: dict[str, str]) -> None:
        self._interfere()
        if stored.manifest != self.manifest:
            raise Conflict("it changed")
        self._put(stored.manifest, data)

    def _interfere(self) -> None:
        if self.others:
            self._put({"metadata": {"labels": {}}}, self.others.pop())

    def _put(self, manifest: dict[str, Any], data: dict[str, str]) -> None:
        self.writes += 1
        self.manifest = {**manifest, "data": data}


class Keeping:
    """A keeper, and the clock that both of its times follow."""

    def __init__(self) -> None:
        self.now, self.secret = 1_800_000_000.0, Secret()
        self.keeper = AdminTlsKeeper(
            self.secret, clock=lambda: self.now, time_of_day=lambda: self.now
        )


@pytest.fixture
def keeping() -> Keeping:
    return Keeping()


async def test_the_ca_is_created_once_and_read_again_after_minutes(keeping: Keeping) -> None:
    first = await keeping.keeper.current(1)
    assert await keeping.keeper.current(1) is first
    assert (keeping.secret.reads, keeping.secret.writes) == (1, 1)
    keeping.now += 301
    assert await keeping.keeper.current(1) is first
    assert (keeping.secret.reads, keeping.secret.writes) == (2, 1)


async def test_many_ticks_at_once_create_one_ca(keeping: Keeping) -> None:
    found = await asyncio.gather(*(keeping.keeper.current(1) for _ in range(20)))
    assert len(set(map(id, found))) == 1
    assert (keeping.secret.reads, keeping.secret.writes) == (1, 1)


async def test_a_new_term_reads_what_another_leader_wrote(keeping: Keeping) -> None:
    mine = await keeping.keeper.current(1)
    theirs = authority.rotated(None, None, keeping.now)
    keeping.secret.manifest = {"data": authority.write(theirs)}
    assert await keeping.keeper.current(1) is mine
    assert (await keeping.keeper.current(2)).authority == theirs


async def test_the_ca_of_another_leader_that_was_faster_is_taken(keeping: Keeping) -> None:
    theirs = authority.rotated(None, None, keeping.now)
    keeping.secret.others = [authority.write(theirs)]
    assert (await keeping.keeper.current(1)).authority == theirs


async def test_a_ca_that_is_due_is_rotated_in_the_secret(keeping: Keeping) -> None:
    first = await keeping.keeper.current(1)
    keeping.secret.manifest["metadata"]["labels"]["backup"] = "yes"
    keeping.now += CA_LIFE * 0.7
    second = await keeping.keeper.current(1)
    assert second.authority.signer == first.authority.signer
    assert len(second.context.get_ca_certs()) == 2
    assert authority.read(keeping.secret.manifest["data"]) == second.authority
    assert keeping.secret.manifest["metadata"]["labels"] == {"backup": "yes"}
    keeping.now += 2 * DAY
    third = await keeping.keeper.current(1)
    assert third.authority.signer == second.authority.next


@pytest.mark.parametrize("left", [None, {"data": {}, "metadata": {}}])
async def test_a_deleted_or_emptied_secret_is_made_again_and_the_old_ca_still_trusted(
    keeping: Keeping, left: dict[str, Any] | None
) -> None:
    first = await keeping.keeper.current(1)
    keeping.secret.manifest = left
    keeping.now += 301
    second = await keeping.keeper.current(1)
    assert second.authority.signer != first.authority.signer
    assert first.authority.signer.certificate in second.authority.trusted


async def test_a_known_ca_outlasts_an_unavailable_api_server(keeping: Keeping) -> None:
    first = await keeping.keeper.current(1)
    keeping.secret.error = Forbidden("secrets is forbidden")
    keeping.now += 301
    assert await keeping.keeper.current(1) is first
    keeping.now += 31
    keeping.secret.error = None
    reads = keeping.secret.reads
    assert await keeping.keeper.current(1) is first
    assert keeping.secret.reads == reads + 1


async def test_without_a_known_ca_the_error_names_the_secret(
    keeping: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    keeping.secret.error = Forbidden("secrets is forbidden")
    with pytest.raises(Forbidden):
        await keeping.keeper.current(1)
    assert "reading the CA in Secret admin-ca failed: secrets is forbidden" in caplog.text


async def test_no_key_is_logged(keeping: Keeping, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await keeping.keeper.current(1)
    assert "created or rotated" in caplog.text
    assert "PRIVATE" not in caplog.text
