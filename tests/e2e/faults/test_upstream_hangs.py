"""The LLM takes 4 s longer: requests in flight multiply, and no loop is busier."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import llm_sidecar

ROW = Row(
    fault="upstream hangs for 4 s",
    user="latency; condition `DependencyBound`",
    operator="No growth: the loops are no busier",
)


def test_the_upstream_hangs(steady: Steady, is_local: bool) -> None:
    llm = llm_sidecar(steady, is_local=is_local)
    with steady.fault(lost=0):
        largest = steady.largest()
        llm.rules({"path": "/v1/", "action": "delay", "seconds": 4})
        steady.wait_condition("DependencyBound", within=60)
        assert steady.size().total <= largest
        llm.rules()
