"""The admin ports answer with something that is not JSON."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.fault_fleet import pod_sidecars

ROW = Row(
    fault="admin port answers with garbage",
    user="condition `MetricsStale`",
    operator="`MetricsStale`. Keeps the fleet; the answer counts as none",
)
RULE = {"path": "^/stats", "action": "status", "status": 200, "body": "]{garbage"}


def test_stats_garbage(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        hit = pod_sidecars(steady, is_local=is_local)
        for sidecar in hit:
            sidecar.rules(RULE)
        steady.wait_condition("MetricsStale", within=30)
        hold(15)
        for sidecar in hit:
            sidecar.rules()
