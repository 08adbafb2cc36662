"""The ReplicaSet controller: keeps the desired number of pods of a template."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.apimachinery.selectors import matches_selector
from aiapi_sandbox.controllers.controller_ref import claim, controller_of, controller_reference
from aiapi_sandbox.controllers.deployment_status import REPLICA_FAILURE
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.controllers.pod_ranking import pods_to_delete, ready_since
from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.resources import PODS, REPLICASETS, GroupVersionResource
from aiapi_sandbox.storage.store import Store


def is_active(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has neither ended nor been deleted."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def available_in(pod: Mapping[str, Any], *, min_ready: int, now: datetime) -> float | None:
    """Return the seconds until the pod is available; 0 when it is, None when it is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, (since + timedelta(seconds=min_ready) - now).total_seconds())


class ReplicaSetController:
    """Creates, deletes, adopts and releases pods, and updates the status."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events = ComponentEventRecorder(store, "replicaset-controller")

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {REPLICASETS: lambda obj: [object_key(obj)], PODS: self._owners}

    def _owners(self, pod: Obj) -> Iterable[ObjectKey]:
        namespace = pod["metadata"]["namespace"]
        reference = controller_of(pod)
        if reference is not None:
            yield from [ObjectKey(namespace, reference["name"])] * (
                reference["kind"] == "ReplicaSet"
            )
            return
        labels = pod["metadata"].get("labels") or {}
        for owner in self._store.scan(REPLICASETS, namespace):
            if matches_selector(owner["spec"]["selector"], labels):
                yield object_key(owner)

    def reconcile(self, key: ObjectKey) -> float | None:
        owner = self._store.find(REPLICASETS, *key)
        if owner is None:
            return None
        pods = claim(self._store, PODS, owner)
        failure = ""
        if "deletionTimestamp" not in owner["metadata"]:
            failure = self._scale(owner, [pod for pod in pods if is_active(pod)])
        self._update_status(owner, failure)
        return 1.0 if failure else self._requeue_after(owner)

    def _scale(self, owner: Mapping[str, Any], active: list[Obj]) -> str:
        missing = owner["spec"].get("replicas", 1) - len(active)
        for _ in range(missing):
            try:
                self._create_pod(owner)
            except ApiError as error:
                message = f"Error creating: {error.message}"
                self._events.warning(owner, "FailedCreate", message)
                return error.message
        for pod in pods_to_delete(active, max(0, -missing), now=datetime.now(UTC)):
            self._store.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            message = f"Deleted pod: {pod['metadata']['name']}"
            self._events.normal(owner, "SuccessfulDelete", message)
        return ""

    def _create_pod(self, owner: Mapping[str, Any]) -> None:
        template, meta = owner["spec"]["template"], owner["metadata"]
        given = template.get("metadata", {})
        pod = {
            "metadata": {
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "labels": given.get("labels", {}),
                "annotations": given.get("annotations", {}),
                "finalizers": given.get("finalizers", []),
                "ownerReferences": [controller_reference(owner)],
            },
            "spec": template["spec"],
        }
        pod["metadata"] = {name: value for name, value in pod["metadata"].items() if value}
        created = self._store.create(PODS, pod)
        message = f"Created pod: {created['metadata']['name']}"
        self._events.normal(owner, "SuccessfulCreate", message)

    def _update_status(self, owner: Mapping[str, Any], failure: str) -> None:
        meta = owner["metadata"]

        def fill(found: Obj) -> None:
            found["status"] = self._status(found, failure)

        self._store.mutate(REPLICASETS, meta["namespace"], meta["name"], fill, "status")

    def _status(self, owner: Obj, failure: str) -> Obj:
        pods = self._pods(owner)
        active = [pod for pod in pods if is_active(pod)]
        template = owner["spec"]["template"].get("metadata", {}).get("labels", {})
        waits = self._seconds_to_available(owner, active)
        counts = {
            "fullyLabeledReplicas": sum(
                template.items() <= pod["metadata"].get("labels", {}).items() for pod in active
            ),
            "readyReplicas": sum(wait is not None for wait in waits),
            "availableReplicas": sum(wait == 0 for wait in waits),
            "terminatingReplicas": sum("deletionTimestamp" in pod["metadata"] for pod in pods),
        }
        status: Obj = {"replicas": len(active)}
        status |= {name: count for name, count in counts.items() if count}
        status["observedGeneration"] = owner["metadata"]["generation"]
        if failure:
            status["conditions"] = [self._failure_condition(owner, failure)]
        return status

    def _failure_condition(self, owner: Obj, failure: str) -> Obj:
        for known in owner.get("status", {}).get("conditions", ()):
            if known["type"] == REPLICA_FAILURE:
                return dict(known)
        return {
            "type": REPLICA_FAILURE,
            "status": "True",
            "reason": "FailedCreate",
            "message": failure,
            "lastTransitionTime": self._store.now(),
        }

    def _pods(self, owner: Mapping[str, Any]) -> list[Obj]:
        meta = owner["metadata"]
        return self._store.controlled(PODS, meta["namespace"], meta["uid"])

    def _seconds_to_available(
        self, owner: Mapping[str, Any], active: Iterable[Obj]
    ) -> list[float | None]:
        min_ready, now = owner["spec"].get("minReadySeconds", 0), datetime.now(UTC)
        return [available_in(pod, min_ready=min_ready, now=now) for pod in active]

    def _requeue_after(self, owner: Mapping[str, Any]) -> float | None:
        active = [pod for pod in self._pods(owner) if is_active(pod)]
        return min(
            (wait for wait in self._seconds_to_available(owner, active) if wait), default=None
        )
