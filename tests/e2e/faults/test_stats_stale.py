"""The admin ports repeat their last numbers."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import pod_sidecars, suffer

ROW = Row(
    fault="admin port repeats old numbers",
    user="nothing",
    operator="The pods count as unknown; keeps the fleet: an answer with the same"
    " uptime is not zero load",
)
RULE = {"path": "^/stats", "action": "freeze"}


def test_stats_stale(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        pods = pod_sidecars(steady, is_local=is_local)
        assert suffer(steady, pods, RULE, 30) > 0
