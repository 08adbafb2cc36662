"""Checks that an AIApi still exists.

The watch may deliver the deletion of an AIApi later than its consequences, such as missing
children.
"""

from aiapi_operator.cluster.resources import AIAPIS, Manifest
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.ports import Cluster


class AIApiDeletedError(Exception):
    """The AIApi was deleted. The garbage collector deletes its children."""


async def ensure_exists(cluster: Cluster, ref: AIApiRef) -> Manifest:
    """Return the AIApi as it is now.

    Raises ``AIApiDeletedError`` when it was deleted or replaced by another one.
    """
    aiapi = await cluster.get(AIAPIS, *ref.key)
    if aiapi is None or aiapi["metadata"].get("deletionTimestamp"):
        raise AIApiDeletedError
    if aiapi["metadata"]["uid"] != ref.uid:
        raise AIApiDeletedError
    return aiapi
