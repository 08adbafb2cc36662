"""The operator reaches one pod of two."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import pod_sidecars, suffer

ROW = Row(
    fault="half the pods unreachable",
    user="condition `MetricsStale`",
    operator="`MetricsStale`. Keeps the fleet; the silent pods count as unknown, not idle",
)
RULE = {"path": "^/(stats|workers)", "action": "hang"}


def test_half_the_pods_unreachable(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        pods = pod_sidecars(steady, is_local=is_local)[:1]
        assert suffer(steady, pods, RULE, 15, "MetricsStale") > 0
