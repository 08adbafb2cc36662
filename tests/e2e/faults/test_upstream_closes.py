"""The LLM closes the connection in the middle of its answer."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import llm_sidecar

ROW = Row(
    fault="upstream closes mid-response",
    user="errors of the app; condition `RequestsFailing`",
    operator="No growth for errors; nothing is learned from them",
)


def test_the_upstream_closes(steady: Steady, is_local: bool) -> None:
    llm = llm_sidecar(steady, is_local=is_local)
    with steady.fault(lost=None):
        largest = steady.largest()
        llm.rules({"path": "/v1/", "action": "truncate"})
        steady.wait_condition("RequestsFailing", within=60)
        assert steady.size().total <= largest
        llm.rules()
