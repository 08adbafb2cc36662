"""Keeps pods of other shards out of the cache: pods have no label of the shard.

Soon after all pods were listed, their AIApis may not be known yet, so all pods are kept. Later, an
AIApi that arrives has its pods listed in its first tick.
"""

from collections.abc import Callable

from aiapi_operator.cluster.resources import PODS, Manifest
from aiapi_operator.cluster.watch import Listed
from aiapi_operator.engine.cache import ObjectCache, owner_key
from aiapi_operator.engine.runner import Runner


class OwnPods:
    """Passes on what watches deliver, without the pods of AIApis that the runner does not have."""

    def __init__(self, runner: Runner, cache: ObjectCache, *, clock: Callable[[], float]) -> None:
        self._runner = runner
        self._cache = cache
        self._clock = clock
        self._drops = False

    def on_child_update(self, manifest: Manifest) -> None:
        """Handle a child or a pod that exists, was created, or changed."""
        if not self._drops and self._cache.was_fresh(self._clock()):
            self._drops = True
            self._cache.keep_only(self._runner.known())
        is_pod = manifest["kind"] == PODS.kind
        if not (self._drops and is_pod and owner_key(manifest) not in self._runner.known()):
            self._runner.on_child_update(manifest)

    def on_child_delete(self, manifest: Manifest) -> None:
        """Handle a deleted child or pod."""
        self._runner.on_child_delete(manifest)

    def on_list(self, listed: Listed) -> None:
        """Handle a complete list of children of one kind, or of pods."""
        self._runner.on_list(listed)
