"""The pods reject the operator's token."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import pod_sidecars, suffer

ROW = Row(
    fault="pods reject the token",
    user="condition `MetricsStale`",
    operator="`MetricsStale`. Keeps the fleet",
)
RULE = {"path": "^/(stats|workers)", "action": "no-token"}


def test_wrong_token(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        pods = pod_sidecars(steady, is_local=is_local)
        assert suffer(steady, pods, RULE, 15, "MetricsStale") > 0
