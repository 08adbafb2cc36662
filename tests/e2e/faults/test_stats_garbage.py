"""The admin ports answer with something that is not JSON."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import pod_sidecars, suffer

ROW = Row(
    fault="admin port answers with garbage",
    user="condition `MetricsStale`",
    operator="`MetricsStale`. Keeps the fleet; the answer counts as none",
)
RULE = {"path": "^/stats", "action": "status", "status": 200, "body": "]{garbage"}


def test_stats_garbage(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        pods = pod_sidecars(steady, is_local=is_local)
        assert suffer(steady, pods, RULE, 15, "MetricsStale") > 0
