"""The pods reject the operator's token."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.fault_fleet import pod_sidecars

ROW = Row(
    fault="pods reject the token",
    user="condition `MetricsStale`",
    operator="`MetricsStale`. Keeps the fleet",
)
RULE = {"path": "^/(stats|workers)", "action": "no-token"}


def test_wrong_token(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        hit = pod_sidecars(steady, is_local=is_local)
        for sidecar in hit:
            sidecar.rules(RULE)
        steady.wait_condition("MetricsStale", within=30)
        hold(15)
        for sidecar in hit:
            sidecar.rules()
