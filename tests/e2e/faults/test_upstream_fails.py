"""The LLM answers 500."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import llm_sidecar

ROW = Row(
    fault="upstream fails",
    user="errors of the app; condition `RequestsFailing`",
    operator="No growth for errors; nothing is learned from them",
)


def test_the_upstream_fails(steady: Steady, is_local: bool) -> None:
    llm = llm_sidecar(steady, is_local=is_local)
    with steady.fault(lost=None):
        largest = steady.largest()
        llm.rules({"path": "/v1/", "action": "status", "status": 500})
        steady.wait_condition("RequestsFailing", within=60)
        assert steady.size().total <= largest
        llm.rules()
