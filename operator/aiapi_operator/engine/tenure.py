"""Whether this operator may act on an AIApi: it leads, and its shard owns the AIApi."""

from aiapi_operator.engine import shards
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.cache import is_newer
from aiapi_operator.engine.existence import ensure_exists
from aiapi_operator.engine.ports import Cluster, Leadership
from aiapi_operator.engine.shards import Duty, labels_of


class LeadershipLostError(Exception):
    """This operator is no longer the leader and must not act."""


class NotOwnedError(Exception):
    """Another shard owns the AIApi, or none does. This one must not act on it."""


class Tenure:
    """Checked when a tick begins, and before it acts."""

    def __init__(self, cluster: Cluster, leadership: Leadership, shard: int | None) -> None:
        self._cluster = cluster
        self._leadership = leadership
        self._shard = shard

    async def begin(self, state: AIApiState) -> None:
        """Begin a tick, or hand the AIApi over where that is asked. Raises as ``check``."""
        if not self._leadership.held():
            raise LeadershipLostError
        if state.term != self._leadership.term:
            await self._start_term(state)
        if self._duty(state) is Duty.RELEASE:
            await self._release(state)
        self.check(state)

    def check(self, state: AIApiState) -> None:
        """Raise unless this operator leads, without a break in this term, and owns the AIApi."""
        leadership = self._leadership
        if not leadership.held() or state.term != leadership.term:
            raise LeadershipLostError
        if self._duty(state) is Duty.WAIT:
            raise NotOwnedError

    def _duty(self, state: AIApiState) -> Duty:
        return shards.duty(labels_of(state.manifest), self._shard)

    async def _start_term(self, state: AIApiState) -> None:
        term = self._leadership.term
        if self._shard is not None:
            # A watch may have lost its connection without knowing it, and the AIApi its label.
            await self._read(state)
        state.start_term(term)

    async def _read(self, state: AIApiState) -> None:
        """Take the AIApi as it is now. Raises ``AIApiDeletedError``."""
        found = await ensure_exists(self._cluster, state.ref)
        if is_newer(found, state.manifest):
            state.update_manifest(found)

    async def _release(self, state: AIApiState) -> None:
        """Stop, and only then give up the labels."""
        await state.stop()
        await self._read(state)
        if self._duty(state) is Duty.RELEASE:
            self.check(state)
            await self._cluster.relabel(state.manifest, shards.RELEASED)
            raise NotOwnedError
