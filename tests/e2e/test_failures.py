"""Failures after admission become conditions with what to do."""

from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually

ONE = {"replicas": {"min": 1, "max": 2}}
IMAGE = "registry.invalid/no/such:1"


def test_an_image_that_cannot_be_pulled(cluster: Cluster) -> None:
    cluster.apply("broken", image=IMAGE, **ONE)
    cluster.apply("fine", app="assistant.llm:app", **ONE)
    cluster.wait_ready("fine")
    message = eventually(
        lambda: (
            m if IMAGE in (m := cluster.condition("broken", "Ready").get("message", "")) else ""
        ),
        within=60,
        what="Ready names the image",
    )
    assert "spec.image" in message


def test_an_app_that_does_not_import(cluster: Cluster) -> None:
    cluster.apply("broken", app="nosuch.main:app", **ONE)

    def is_reported() -> bool:
        return "nosuch" in cluster.condition("broken", "Ready").get("message", "")

    ready = cluster.wait_condition("broken", "Ready", status="False")
    eventually(is_reported, within=60, what=f"the import error is reported, now {ready}")
    assert "spec.app" in cluster.condition("broken", "Ready")["message"]
