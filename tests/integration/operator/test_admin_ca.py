"""The Secret of the CA on an API server: it is never written over what another operator wrote."""

import pytest
from engine_support.live import Cluster

from aiapi_operator.cluster.errors import Conflict
from aiapi_operator.cluster.secret_store import SecretStore

ONE, TWO = {"ca.crt": "b25l"}, {"ca.crt": "dHdv"}


async def test_the_secret_is_created_and_replaced_once_for_each_version(cluster: Cluster) -> None:
    store = SecretStore(cluster.connection, "default", "admin-ca")
    assert await store.read() is None
    await store.create(ONE)
    with pytest.raises(Conflict):
        await store.create(TWO)
    found = await store.read()
    assert found is not None
    assert found.data == ONE
    await store.replace(found, TWO)
    with pytest.raises(Conflict):
        await store.replace(found, ONE)
    later = await store.read()
    assert later is not None
    assert later.data == TWO
