"""The main job under real load: grow for the loops, not for the LLM; lose nothing on the way."""

from typing import Any

from e2e_support.assistant import deploy_assistant, deploy_llm, set_llm_latency
from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually, throughout
from e2e_support.load import start_load
from e2e_support.operator import Operator


def size(cluster: Cluster, name: str) -> int:
    """Workers that the AIApi wants over all its pods."""
    status: dict[str, Any] = cluster.status(name)
    return int(status.get("workers", 0)) * int(status.get("replicas", 0))


def sized_in_place(cluster: Cluster, name: str) -> bool:
    """Whether the pods that were there request 100m for each worker, and never restarted."""
    workers = cluster.status(name)["workers"]
    pods = cluster.pods(name)
    cpu = {pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in pods}
    restarts = sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods)
    return cpu == {f"{workers * 100}m"} and restarts == 0 and workers > 1


def test_load_brings_workers_and_its_end_takes_them_back(cluster: Cluster) -> None:
    deploy_assistant(cluster, "a", deploy_llm(cluster))
    before = size(cluster, "a")
    load = start_load(cluster, service="a", rate=120, seconds=25)
    eventually(lambda: size(cluster, "a") > before, within=40, what="the fleet grows")
    decision = cluster.status("a")["decision"]
    assert "rps" in decision["message"]
    eventually(
        lambda: sized_in_place(cluster, "a"),
        within=20,
        what="each pod requests CPU for its workers, without a restart",
    )
    events = cluster.kubectl("events", "--for", "aiapi/a")
    assert "ScaledUp" in events
    sent = load.wait(within=60)
    assert sent.requests > 2000
    assert sent.failed == 0
    eventually(lambda: size(cluster, "a") == before, within=90, what="the fleet shrinks again")


def test_a_slow_llm_brings_no_workers_but_a_reason(cluster: Cluster) -> None:
    deploy_assistant(cluster, "a", deploy_llm(cluster))
    load = start_load(cluster, service="a", rate=20, seconds=60)
    load.wait_started()
    eventually(
        lambda: cluster.status("a").get("load", {}).get("latency"),
        within=30,
        what="the calm latency is known",
    )
    before = size(cluster, "a")
    set_llm_latency(cluster, seconds=0.75)
    bound = cluster.wait_condition("a", "DependencyBound", within=40)
    assert "upstream" in bound["message"]
    assert size(cluster, "a") == before
    assert load.wait(within=90).failed == 0


def test_killing_the_operator_shrinks_nothing_and_loses_nothing(
    cluster: Cluster, operator: Operator
) -> None:
    # Long enough that nobody shrinks the fleet for a good reason meanwhile.
    scaling = {"scaleDown": {"workersAfter": "60s", "replicasAfter": "60s"}}
    deploy_assistant(cluster, "a", deploy_llm(cluster), scaling=scaling)
    before = size(cluster, "a")
    load = start_load(cluster, service="a", rate=120, seconds=45)
    grown = eventually(
        lambda: now if (now := size(cluster, "a")) > before else 0,
        within=40,
        what="the fleet grows",
    )
    killed = operator.leader()
    operator.kill()
    eventually(
        lambda: operator.leader() not in {"", killed}, within=40, what="another operator acts"
    )
    throughout(
        lambda: size(cluster, "a") >= grown or f"under {grown}: {cluster.status('a')}",
        seconds=8,
        what="the new operator keeps the fleet",
    )
    assert load.wait(within=90).failed == 0


def test_recommend_tells_and_touches_nothing(cluster: Cluster) -> None:
    scaling = {"mode": "Recommend"}
    deploy_assistant(cluster, "a", deploy_llm(cluster), scaling=scaling)
    load = start_load(cluster, service="a", rate=120, seconds=20)
    eventually(
        lambda: "2 pods x 1 -> " in cluster.status("a").get("decision", {}).get("message", ""),
        within=40,
        what="a larger fleet is recommended",
    )
    assert load.wait(within=60).failed == 0
    assert len(cluster.pods("a")) == 2
    assert "ScaledUp" not in cluster.kubectl("events", "--for", "aiapi/a")


def test_an_objective_below_the_llms_own_latency(cluster: Cluster) -> None:
    objective = {"latency": {"percentile": 95, "threshold": "100ms"}}
    deploy_assistant(cluster, "a", deploy_llm(cluster), objective=objective)
    load = start_load(cluster, service="a", rate=20, seconds=40)
    infeasible = cluster.wait_condition("a", "ObjectiveInfeasible", within=60)
    assert "100" in infeasible["message"]
    assert load.wait(within=90).failed == 0
