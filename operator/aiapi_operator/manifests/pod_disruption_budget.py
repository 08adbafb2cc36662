"""The PodDisruptionBudget: a drain evicts a tenth of the fleet at a time, and at least one pod.

``maxUnavailable`` is used because ``minAvailable`` would let a fleet of one pod block a drain
forever, and because the number of pods is not known here.
"""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.labels import selector
from aiapi_operator.manifests.owner import child_metadata


def build(aiapi: AIApi) -> dict[str, Any]:
    """The PodDisruptionBudget."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": child_metadata(aiapi, aiapi.name),
        "spec": {
            "maxUnavailable": "10%",
            "selector": {"matchLabels": selector(aiapi.name)},
            # A pod that is not ready must not block a drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
