"""A drained node takes a tenth of the fleet at a time, and one pod at least.

``maxUnavailable`` rather than ``minAvailable``: a fleet of one pod must not block a drain for
ever, and the number of pods is not known here.
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
            # A pod that does not serve anyway must not hold up a drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
