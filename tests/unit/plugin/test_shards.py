"""The owners of AIApis, as doctor reports them."""

from datetime import UTC, datetime
from typing import Any

from aiapi_operator.cluster.errors import Forbidden
from aiapi_operator.plugin import shards
from aiapi_operator.plugin.checks import CheckResult

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
LABEL = "aiapi.dev/shard"


def lease(shard: int, renewed: str) -> dict[str, Any]:
    metadata = {"name": f"aiapi-operator-shard-{shard}", "labels": {LABEL: str(shard)}}
    return {"metadata": metadata, "spec": {"holderIdentity": "pod", "renewTime": renewed}}


def aiapi(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "labels": labels}}


LEASES = [lease(0, "2026-01-01T12:00:29.000000Z"), lease(1, "2026-01-01T11:00:00.000000Z")]


def test_owners_are_counted() -> None:
    owned = [aiapi("a", **{LABEL: "0"}), aiapi("b", **{LABEL: "0"})]
    found = shards.judge(LEASES, owned, NOW)
    assert (found.result, found.message) == (CheckResult.OK, "1 of 2 live: shard 0 has 2")


def test_an_aiapi_without_a_live_owner_is_a_problem() -> None:
    found = shards.judge(LEASES, [aiapi("a", **{LABEL: "1"}), aiapi("b")], NOW)
    assert found.result is CheckResult.PROBLEM
    assert found.message == "no live shard owns 2 AIApis, such as shop/a, shop/b"
    assert "AIApiUnowned" in found.hint


class Reader:
    async def labelled_leases(self, selector: str) -> list[Any]:
        assert selector == "aiapi.dev/ring=ring"
        raise Forbidden("no")


def deployment(**env: str) -> dict[str, Any]:
    variables = [{"name": f"AIAPI_OPERATOR_{key}", "value": text} for key, text in env.items()]
    return {"spec": {"template": {"spec": {"containers": [{"env": variables}]}}}}


async def test_the_check_is_left_out_without_shards_and_unknown_without_permission() -> None:
    reader: Any = Reader()
    assert await shards.check(reader, [deployment(LEASE_NAME="ring")], []) == []
    (found,) = await shards.check(reader, [deployment(LEASE_NAME="ring", SHARDS="3")], [])
    assert found.result is CheckResult.UNKNOWN
    assert "list leases" in found.hint
