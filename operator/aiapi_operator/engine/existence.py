"""Whether an AIApi is still there. Its deletion may be seen later than what follows from it."""

from aiapi_operator.cluster.resources import AIAPIS
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.ports import Cluster


class AIApiDeletedError(Exception):
    """The AIApi was deleted; its children are the garbage collector's."""


async def ensure_exists(cluster: Cluster, subject: AIApiState) -> None:
    """Raise ``GoneError`` when the AIApi was deleted, or replaced by one of the same name."""
    aiapi = await cluster.get(AIAPIS, *subject.key)
    if aiapi is None or aiapi["metadata"].get("deletionTimestamp"):
        raise AIApiDeletedError
    if aiapi["metadata"]["uid"] != subject.uid:
        raise AIApiDeletedError
