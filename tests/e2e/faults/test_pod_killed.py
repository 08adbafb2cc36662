"""A pod is deleted without a grace period, as if its node were lost."""

from e2e_support.fault import Row, Steady
from e2e_support.kubectl import eventually

ROW = Row(
    fault="pod killed",
    user="its requests in progress fail, and those sent to it until no endpoint lists it",
    operator="Keeps the number of pods; the Deployment replaces the pod, which gets its workers"
    " before it is ready",
)


def test_a_pod_is_killed(steady: Steady) -> None:
    with steady.fault(lost=40):
        pods = steady.pods()
        name = pods[0]["metadata"]["name"]
        steady.cluster.kubectl("delete", "pod", name, "--force", "--grace-period=0")
        eventually(
            lambda: (
                steady.status().get("readyReplicas", 0) >= len(pods)
                and name not in {p["metadata"]["name"] for p in steady.pods()}
            ),
            within=60,
            what="the pod is replaced",
            state=steady.status,
        )
