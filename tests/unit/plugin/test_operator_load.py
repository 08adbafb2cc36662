"""Whether the operator keeps up, as doctor reports it."""

from typing import Any

import pytest

from aiapi_operator.cluster.errors import Forbidden
from aiapi_operator.plugin import operator_load
from aiapi_operator.plugin.checks import CheckResult

READY = {
    "metadata": {"name": "aiapi-operator", "namespace": "ops"},
    "status": {"readyReplicas": 2},
}
POD = {
    "metadata": {"namespace": "ops", "name": "operator-1"},
    "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8090}]}]},
}


def page(punctual: int, ticks: int) -> str:
    bucket = "aiapi_operator_tick_lag_seconds_bucket"
    return (
        f'# TYPE {bucket[:-7]} histogram\n{bucket}{{le="0.5"}} 0.0\n{bucket}{{le="1.0"}}'
        f' {punctual}.0\n{bucket}{{le="+Inf"}} {ticks}.0\n{bucket[:-7]}_sum 9.5\n'
    )


class Reader:
    """An operator pod with these pages, one after the other."""

    def __init__(self, *pages: str | Exception) -> None:
        self.pages, self.asked = list(pages), list[tuple[Any, ...]]()

    async def pods(self, _namespace: str, _selector: str) -> list[Any]:
        return [POD]

    async def pod_page(self, *where: Any) -> str:
        self.asked.append(where)
        found = self.pages.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.mark.parametrize(
    ("punctual", "ticks", "result", "message"),
    [
        (1100, 1100, CheckResult.OK, "100 ticks within 0 s, on time"),
        (1099, 1100, CheckResult.OK, "100 ticks within 0 s, on time"),
        (
            1060,
            1100,
            CheckResult.PROBLEM,
            "40 of 100 ticks started more than 1 s late: the operator lacks CPU",
        ),
        (1000, 1000, CheckResult.NOTE, "no tick was due within 0 s"),
    ],
)
async def test_late_ticks_are_counted_between_two_readings(
    monkeypatch: pytest.MonkeyPatch,
    punctual: int,
    ticks: int,
    result: CheckResult,
    message: str,
) -> None:
    monkeypatch.setattr(operator_load, "_SECONDS", 0.0)
    reader: Any = Reader(page(1000, 1000), page(punctual, ticks))
    (found,) = await operator_load.check(reader, [READY])
    assert (found.result, found.message) == (result, message)
    assert reader.asked == 2 * [("ops", "operator-1", 8090, "metrics")]


async def test_without_permission_the_load_is_unknown() -> None:
    reader: Any = Reader(Forbidden("no"))
    (found,) = await operator_load.check(reader, [READY])
    assert found.result is CheckResult.UNKNOWN
    assert "pods/proxy" in found.hint


async def test_an_operator_outside_the_cluster_is_not_asked() -> None:
    reader: Any = Reader()
    assert await operator_load.check(reader, []) == []
    assert await operator_load.check(reader, [{**READY, "status": {}}]) == []
