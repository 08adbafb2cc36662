"""The AIApis and their pods as the watches last reported them.

While the Kubernetes API is down, this is what was known last.
"""

from collections.abc import Callable, Iterable

from aiapi_operator.activator.fleet import Fleet, Key, Pod, fleet_of, key_of, owner_of, pod_of
from aiapi_operator.cluster.resources import Manifest


class World:
    """Calls ``changed`` with the key of an AIApi when it or its pods changed."""

    def __init__(self) -> None:
        self.fleets: dict[Key, Fleet] = {}
        self._pods: dict[Key, dict[str, Pod]] = {}
        self.changed: Callable[[Key], None] = lambda _key: None

    def pods(self, key: Key) -> dict[str, Pod]:
        """The running pods of an AIApi, by uid."""
        return self._pods.get(key, {})

    def put_aiapi(self, manifest: Manifest) -> None:
        """An AIApi is new or changed."""
        fleet = fleet_of(manifest)
        if self.fleets.get(fleet.key) != fleet:
            self.fleets[fleet.key] = fleet
            self.changed(fleet.key)

    def remove_aiapi(self, manifest: Manifest) -> None:
        """An AIApi was deleted."""
        key = key_of(manifest)
        if self.fleets.pop(key, None) is not None:
            self.changed(key)

    def put_pod(self, manifest: Manifest) -> None:
        """A pod is new or changed."""
        pod = pod_of(manifest)
        if pod is None:
            self.remove_pod(manifest)
            return
        key = owner_of(manifest)
        pods = self._pods.setdefault(key, {})
        if pods.get(pod.uid) != pod:
            pods[pod.uid] = pod
            self.changed(key)

    def remove_pod(self, manifest: Manifest) -> None:
        """A pod was deleted."""
        self._drop_pod(owner_of(manifest), manifest["metadata"].get("uid", ""))

    def _drop_pod(self, key: Key, uid: str) -> None:
        pods = self._pods.get(key, {})
        if pods.pop(uid, None) is not None:
            if not pods:
                del self._pods[key]
            self.changed(key)

    def replace_aiapis(self, namespace: str | None, items: Iterable[Manifest]) -> None:
        """All AIApis, of one namespace or (None) of all."""
        listed = list(items)
        present = {key_of(each) for each in listed}
        for key in [key for key in self.fleets if _within(key, namespace)]:
            if key not in present:
                del self.fleets[key]
                self.changed(key)
        for each in listed:
            self.put_aiapi(each)

    def replace_pods(self, namespace: str | None, items: Iterable[Manifest]) -> None:
        """All pods of AIApis, of one namespace or (None) of all."""
        listed = list(items)
        present = {each["metadata"].get("uid", "") for each in listed}
        for key in [key for key in self._pods if _within(key, namespace)]:
            for uid in [uid for uid in self._pods[key] if uid not in present]:
                self._drop_pod(key, uid)
        for each in listed:
            self.put_pod(each)


def _within(key: Key, namespace: str | None) -> bool:
    return namespace is None or key[0] == namespace
