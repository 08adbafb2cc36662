"""A new version whose pods never become ready."""

import json

from e2e_support.fault import Row, Steady, hold
from e2e_support.kubectl import eventually

ROW = Row(
    fault="deploy whose pods never become ready",
    user="nothing: the old pods serve. A condition says why the new ones do not start",
    operator="Sizes the pods that serve; the broken ones are neither capacity nor idle",
)


def test_new_pods_never_become_ready(steady: Steady) -> None:
    cluster, name = steady.cluster, steady.name

    def deploy(app: str) -> None:
        body = json.dumps({"spec": {"app": app}})
        cluster.kubectl("patch", "aiapi", name, "--type=merge", "-p", body)

    with steady.fault(grows=2):
        deploy("nosuch.main:app")
        eventually(
            lambda: "nosuch" in json.dumps(steady.status().get("conditions", [])),
            within=60,
            what="a condition names the app",
            state=steady.status,
        )
        hold(15)
        deploy("assistant.main:app")
