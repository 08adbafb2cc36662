"""Whether an AIApi is still there. Its deletion may be seen later than what follows from it."""

from aiapi_operator.cluster.resources import AIAPIS
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.engine.subject import Subject


class GoneError(Exception):
    """The AIApi was deleted; its children are the garbage collector's."""


async def must_be_there(cluster: Cluster, subject: Subject) -> None:
    """Raise ``GoneError`` when the AIApi was deleted, or replaced by one of the same name."""
    aiapi = await cluster.get(AIAPIS, *subject.key)
    if aiapi is None or aiapi["metadata"].get("deletionTimestamp"):
        raise GoneError
    if aiapi["metadata"]["uid"] != subject.uid:
        raise GoneError
