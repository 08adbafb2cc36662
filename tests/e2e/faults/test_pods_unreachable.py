"""The operator reaches no pod: a NetworkPolicy, or a broken network."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import pod_sidecars, suffer

ROW = Row(
    fault="operator cut off from the pods",
    user="condition `MetricsStale`",
    operator="`MetricsStale`. Keeps the fleet: no answer is not zero load",
)
RULE = {"path": "^/(stats|workers)", "action": "hang"}


def test_pods_unreachable(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        pods = pod_sidecars(steady, is_local=is_local)
        assert suffer(steady, pods, RULE, 15, "MetricsStale") > 0
