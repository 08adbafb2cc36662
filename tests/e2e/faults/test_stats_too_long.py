"""The admin ports answer with 10 MB."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import pod_sidecars, suffer

ROW = Row(
    fault="admin port answers with 10 MB",
    user="condition `MetricsStale`",
    operator="`MetricsStale`. Stops reading after 64 KiB; the answer counts as none",
)
RULE = {"path": "^/stats", "action": "status", "status": 200, "body": " ", "repeat": 10_000_000}


def test_stats_too_long(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        pods = pod_sidecars(steady, is_local=is_local)
        assert suffer(steady, pods, RULE, 15, "MetricsStale") > 0
