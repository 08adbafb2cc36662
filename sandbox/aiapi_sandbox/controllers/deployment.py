"""The Deployment controller: one ReplicaSet per template, and the rollout between them."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.controllers import rollout
from aiapi_sandbox.controllers.controller_ref import claim, controller_of, controller_reference
from aiapi_sandbox.controllers.deployment_status import deadline_in, next_status, with_condition
from aiapi_sandbox.controllers.manager import MapFunc, ObjectKey, object_key
from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.resources import DEPLOYMENTS, PODS, REPLICASETS, GroupVersionResource
from aiapi_sandbox.storage.store import Store

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration",)
_HASH_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
JsonObject = Mapping[str, Any]


def template_hash(template: JsonObject) -> str:
    """Return the pod-template-hash of a template."""
    text = json.dumps(template, sort_keys=True).encode()
    digest = hashlib.sha256(text).digest()[:10]
    return "".join(_HASH_LETTERS[byte % len(_HASH_LETTERS)] for byte in digest)


def same_template(replica_set: JsonObject, template: JsonObject) -> bool:
    """Whether a ReplicaSet has this template."""
    own = json.loads(json.dumps(replica_set["spec"]["template"]))
    own.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    return bool(own == template)


def revision(obj: JsonObject) -> int:
    """Return the revision annotation as a number; 0 when it is missing."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


class DeploymentController:
    """Scales ReplicaSets one step at a time; their status changes trigger the next step."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events = ComponentEventRecorder(store, "deployment-controller")

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        return {
            DEPLOYMENTS: lambda obj: [object_key(obj)],
            REPLICASETS: self._owners,
            PODS: self._owner_of_pod,
        }

    @staticmethod
    def _owners(replica_set: Obj) -> Iterable[ObjectKey]:
        reference = controller_of(replica_set)
        if reference and reference["kind"] == "Deployment":
            yield ObjectKey(replica_set["metadata"]["namespace"], reference["name"])

    def _owner_of_pod(self, pod: Obj) -> Iterable[ObjectKey]:
        """A Recreate rollout continues when the last old pod is removed."""
        namespace = pod["metadata"]["namespace"]
        reference = controller_of(pod)
        if reference and reference["kind"] == "ReplicaSet":
            owner = self._store.find(REPLICASETS, namespace, reference["name"])
            if owner is not None:
                yield from self._owners(owner)

    def reconcile(self, key: ObjectKey) -> float | None:
        deployment = self._store.find(DEPLOYMENTS, *key)
        if deployment is None:
            return None
        sets = claim(self._store, REPLICASETS, deployment)
        if "deletionTimestamp" not in deployment["metadata"]:
            self._sync(deployment, sets)
        return self._update_status(key)

    # --- one step

    def _sync(self, deployment: JsonObject, sets: list[Obj]) -> None:
        limits = rollout.rollout_limits(deployment)
        template = deployment["spec"]["template"]
        matching = [rs for rs in sets if same_template(rs, template)]
        new = min(matching, key=lambda rs: rs["metadata"]["creationTimestamp"], default=None)
        old = [rs for rs in sets if rs is not new]
        if deployment["spec"].get("paused") or rollout.is_scaling_event(limits, sets):
            for name, size in rollout.scale_proportionally(limits, new, old).items():
                self._scale(deployment, name, size, limits)
        elif deployment["spec"].get("strategy", {}).get("type") == "Recreate":
            self._recreate(deployment, new, old, limits)
        else:
            self._roll(deployment, new, old, limits)
        if not deployment["spec"].get("paused"):
            self._delete_old_replica_sets(deployment)

    def _roll(
        self,
        deployment: JsonObject,
        new: Obj | None,
        old: Sequence[Obj],
        limits: rollout.RolloutLimits,
    ) -> None:
        size = rollout.scale_up_new(limits, new, old)
        if new is None:
            new = self._create(deployment, old, size, limits)
        else:
            self._set_new_revision(deployment, new, old)
            if size != rollout.desired_replicas(new):
                self._scale(deployment, new["metadata"]["name"], size, limits)
                return
        for name, smaller in rollout.scale_down_old(limits, new, old).items():
            self._scale(deployment, name, smaller, limits)

    def _recreate(
        self,
        deployment: JsonObject,
        new: Obj | None,
        old: Sequence[Obj],
        limits: rollout.RolloutLimits,
    ) -> None:
        for replica_set in old:
            self._scale(deployment, replica_set["metadata"]["name"], 0, limits)
        if any(self._has_pods(replica_set) for replica_set in old):
            return
        if new is None:
            self._create(deployment, old, limits.desired, limits)
        else:
            self._set_new_revision(deployment, new, old)
            self._scale(deployment, new["metadata"]["name"], limits.desired, limits)

    def _has_pods(self, replica_set: JsonObject) -> bool:
        meta = replica_set["metadata"]
        return bool(self._store.controlled(PODS, meta["namespace"], meta["uid"]))

    # --- ReplicaSets

    def _create(
        self, deployment: JsonObject, old: Sequence[Obj], size: int, limits: rollout.RolloutLimits
    ) -> Obj:
        meta, spec = deployment["metadata"], deployment["spec"]
        suffix = template_hash(spec["template"])
        template = json.loads(json.dumps(spec["template"]))
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[HASH_LABEL] = suffix
        selector = json.loads(json.dumps(spec["selector"]))
        selector.setdefault("matchLabels", {})[HASH_LABEL] = suffix
        number = str(max(map(revision, old), default=0) + 1)
        created = self._store.create(
            REPLICASETS,
            {
                "metadata": {
                    "name": f"{meta['name']}-{suffix}",
                    "namespace": meta["namespace"],
                    "labels": dict(labels),
                    "annotations": self._annotations(deployment, limits) | {REVISION: number},
                    "ownerReferences": [controller_reference(deployment)],
                },
                "spec": {
                    "replicas": size,
                    "selector": selector,
                    "template": template,
                    "minReadySeconds": spec.get("minReadySeconds", 0),
                },
            },
        )
        name = created["metadata"]["name"]
        self._set_revision(deployment, number)
        self._set_progressing(
            deployment, "NewReplicaSetCreated", f'Created new replica set "{name}"'
        )
        if size:
            self._record_scaling(deployment, name, 0, size)
        return created

    @staticmethod
    def _annotations(deployment: JsonObject, limits: rollout.RolloutLimits) -> dict[str, str]:
        given = deployment["metadata"].get("annotations") or {}
        copied = {
            name: value
            for name, value in given.items()
            if name not in _NOT_COPIED and not name.startswith("deployment.kubernetes.io/")
        }
        sizes = {rollout.DESIRED: str(limits.desired), rollout.MAXIMUM: str(limits.max_pods)}
        return copied | sizes

    def _scale(
        self, deployment: JsonObject, name: str, size: int, limits: rollout.RolloutLimits
    ) -> None:
        namespace = deployment["metadata"]["namespace"]
        before = rollout.desired_replicas(self._store.peek(REPLICASETS, namespace, name))

        def change(found: Obj) -> None:
            found["spec"]["replicas"] = size
            annotations = found["metadata"].setdefault("annotations", {})
            annotations[rollout.DESIRED] = str(limits.desired)
            annotations[rollout.MAXIMUM] = str(limits.max_pods)

        self._store.mutate(REPLICASETS, namespace, name, change)
        if before != size:
            self._record_scaling(deployment, name, before, size)

    def _record_scaling(self, deployment: JsonObject, name: str, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        self._events.normal(deployment, "ScalingReplicaSet", message)

    def _set_new_revision(self, deployment: JsonObject, new: Obj, old: Sequence[Obj]) -> None:
        """Give the current ReplicaSet the highest revision, also after an undo."""
        number = str(max(max(map(revision, old), default=0) + 1, revision(new)))
        meta = new["metadata"]

        def change(found: Obj) -> None:
            found["metadata"].setdefault("annotations", {})[REVISION] = number
            found["spec"]["minReadySeconds"] = deployment["spec"].get("minReadySeconds", 0)

        if number != str(revision(new)):
            message = f'Found new replica set "{meta["name"]}"'
            self._set_progressing(deployment, "FoundNewReplicaSet", message)
        self._store.mutate(REPLICASETS, meta["namespace"], meta["name"], change)
        self._set_revision(deployment, number)

    def _delete_old_replica_sets(self, deployment: JsonObject) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        template = deployment["spec"]["template"]
        idle = [
            rs
            for rs in claim(self._store, REPLICASETS, deployment)
            if not rollout.desired_replicas(rs)
            and not rs.get("status", {}).get("replicas")
            and "deletionTimestamp" not in rs["metadata"]
            and not same_template(rs, template)
        ]
        for rs in sorted(idle, key=revision)[: max(0, len(idle) - limit)]:
            self._store.delete(REPLICASETS, rs["metadata"]["namespace"], rs["metadata"]["name"])

    # --- status

    def _set_revision(self, deployment: JsonObject, number: str) -> None:
        def change(found: Obj) -> None:
            found["metadata"].setdefault("annotations", {})[REVISION] = number

        meta = deployment["metadata"]
        self._store.mutate(DEPLOYMENTS, meta["namespace"], meta["name"], change)

    def _set_progressing(self, deployment: JsonObject, reason: str, message: str) -> None:
        def change(found: Obj) -> None:
            status = found.setdefault("status", {})
            state = (True, reason, message)
            status["conditions"] = with_condition(
                status.get("conditions", ()), "Progressing", state, datetime.now(UTC)
            )

        meta = deployment["metadata"]
        self._store.mutate(DEPLOYMENTS, meta["namespace"], meta["name"], change, "status")

    def _update_status(self, key: ObjectKey) -> float | None:
        deployment = self._store.peek(DEPLOYMENTS, *key)
        uid, template = deployment["metadata"]["uid"], deployment["spec"]["template"]
        sets = self._store.controlled(REPLICASETS, key.namespace, uid)
        new = next((rs for rs in sets if same_template(rs, template)), None)
        now = datetime.now(UTC)

        def change(found: Obj) -> None:
            found["status"] = next_status(found, new, sets, now)

        updated = self._store.mutate(DEPLOYMENTS, *key, change, "status")
        remaining = deadline_in(updated, updated["status"], now)
        return None if remaining is None or remaining < 0 else remaining + 1.0
