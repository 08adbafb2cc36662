"""An API server with one Lease."""

import copy
from typing import Any

from aiapi_operator.cluster.connection import Request
from aiapi_operator.cluster.errors import Conflict, NotFound, Unavailable


class FakeApi:
    """Stores one Lease and checks its version."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.away = False

    async def send(self, request: Request) -> Any:
        if self.away:
            raise Unavailable("no answer")
        if request.method == "GET":
            if self.lease is None:
                raise NotFound("no lease")
            return copy.deepcopy(self.lease)
        if request.method == "POST" and self.lease is not None:
            raise Conflict("exists")
        mine = request.body["metadata"].get("resourceVersion", "0")
        if self.lease is not None and mine != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("stale")
        lease = copy.deepcopy(request.body)
        lease["metadata"]["resourceVersion"] = str(int(mine) + 1)
        self.lease = lease
        return lease

    def seize(self, holder: str) -> None:
        """Another operator takes the Lease over."""
        assert self.lease is not None
        lease = copy.deepcopy(self.lease)
        lease["spec"]["holderIdentity"] = holder
        lease["metadata"]["resourceVersion"] = str(int(lease["metadata"]["resourceVersion"]) + 1000)
        self.lease = lease
