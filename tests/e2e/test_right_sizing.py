"""Right-sizing under real load: grow for busy loops, not for a slow LLM; drop no request."""

from typing import Any

from e2e_support.assistant import deploy_assistant, deploy_llm, set_llm_latency
from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually, throughout
from e2e_support.load import start_load
from e2e_support.operator import Operator


def size(cluster: Cluster, name: str) -> int:
    """The wanted workers in all pods of the AIApi."""
    status: dict[str, Any] = cluster.status(name)
    return int(status.get("workers", 0)) * int(status.get("replicas", 0))


def sized_in_place(cluster: Cluster, name: str) -> bool:
    """Whether the existing pods request 100m per worker and never restarted."""
    workers = cluster.status(name)["workers"]
    pods = cluster.pods(name)
    cpu = {pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in pods}
    restarts = sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods)
    return cpu == {f"{workers * 100}m"} and restarts == 0 and workers > 1


def test_load_adds_workers_and_its_end_removes_them(cluster: Cluster) -> None:
    deploy_assistant(cluster, "a", deploy_llm(cluster))
    before = size(cluster, "a")
    load = start_load(cluster, service="a", rate=120, seconds=25)
    eventually(lambda: size(cluster, "a") > before, within=40, what="the fleet grows")
    decision = cluster.status("a")["decision"]
    measured = ("rps", "event loops use")
    assert any(each in decision["message"] for each in measured), decision
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


def test_a_slow_llm_adds_no_workers_and_is_diagnosed(cluster: Cluster) -> None:
    deploy_assistant(cluster, "a", deploy_llm(cluster))
    load = start_load(cluster, service="a", rate=20, seconds=60)
    load.wait_started()
    eventually(
        lambda: cluster.status("a").get("load", {}).get("latency"),
        within=30,
        what="the base latency is known",
    )
    before = size(cluster, "a")
    set_llm_latency(cluster, seconds=0.75)
    bound = cluster.wait_condition("a", "DependencyBound", within=40)
    assert "upstream" in bound["message"]
    assert size(cluster, "a") == before
    assert load.wait(within=90).failed == 0


def test_failing_requests_are_reported_and_add_no_workers(cluster: Cluster) -> None:
    deploy_assistant(cluster, "a", "http://127.0.0.1:9")  # nothing listens there: 502
    before = size(cluster, "a")
    load = start_load(cluster, service="a", rate=20, seconds=20)
    found = cluster.wait_condition("a", "RequestsFailing", within=40)
    assert found["reason"] == "ServerErrors"
    assert "server errors" in found["message"]
    assert cluster.status("a")["load"]["failing"] == "100%"
    assert "percent" not in cluster.status("a")["savings"]
    assert "RequestsFailing" in cluster.kubectl("events", "--for", "aiapi/a")
    assert size(cluster, "a") == before
    assert load.wait(within=60).failed > 0


def test_pods_make_up_for_workers_that_a_limit_forbids(cluster: Cluster) -> None:
    """Two workers of 100m each fit below the limit; the schedule asks for two pods x 4."""
    limited = {"name": "app", "resources": {"limits": {"cpu": "200m"}}}
    launch = {"start": "* * * * *", "duration": "24h", "minWorkers": 4, "minReplicas": 2}
    deploy_assistant(
        cluster,
        "a",
        deploy_llm(cluster),
        podTemplate={"spec": {"containers": [limited]}},
        scaling={"schedules": [launch]},
    )
    found = cluster.wait_condition("a", "ResizeDeferred", within=20)
    assert found["reason"] == "ResizeInvalid"
    assert "must be less than or equal to cpu limit" in found["message"]
    assert "spec.podTemplate" in found["message"]
    eventually(
        lambda: (cluster.status("a")["workers"], cluster.status("a")["replicas"]) == (2, 4),
        within=40,
        what="four pods have two workers each",
    )
    eventually(
        lambda: sized_in_place(cluster, "a"), within=20, what="each pod requests CPU for two"
    )


def test_killing_the_operator_shrinks_nothing_and_drops_no_request(
    cluster: Cluster, operator: Operator
) -> None:
    # Long enough that no scale-down is due in the meantime.
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
        lambda: operator.leader() not in {"", killed}, within=40, what="another operator leads"
    )
    throughout(
        lambda: size(cluster, "a") >= grown or f"under {grown}: {cluster.status('a')}",
        seconds=8,
        what="the new operator keeps the fleet",
    )
    assert load.wait(within=90).failed == 0


def test_recommend_reports_and_changes_nothing(cluster: Cluster) -> None:
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


def test_an_objective_below_the_latency_of_the_llm_is_infeasible(cluster: Cluster) -> None:
    objective = {"latency": {"percentile": 95, "threshold": "100ms"}}
    deploy_assistant(cluster, "a", deploy_llm(cluster), objective=objective)
    load = start_load(cluster, service="a", rate=20, seconds=40)
    infeasible = cluster.wait_condition("a", "ObjectiveInfeasible", within=60)
    assert "100" in infeasible["message"]
    assert load.wait(within=90).failed == 0
