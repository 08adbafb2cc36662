"""One worker as the supervisor sees it."""

from dataclasses import dataclass
from enum import Enum
from time import monotonic

from aiapi_runtime.runtime.channel import Channel

# To hear of it, for the lifespan's shutdown and to exit.
_MARGIN_SECONDS = 15.0
# For a worker that has never served, when the pod ends: it may hear nothing while it imports.
_UNBORN_SECONDS = 2.0


class State(Enum):
    """A worker only ever moves down this list."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(kw_only=True, eq=False)
class WorkerProcess:
    """Owned and changed by the pool alone."""

    slot: int
    channel: Channel
    born: float
    pid: int = 0
    state: State = State.STARTING
    ready_at: float = 0.0
    deadline: float = float("inf")
    full_deadline: float = float("inf")
    asked_to_go: bool = False
    last: bool = False
    failure: str = ""
    gifts: int = 0
    shedding: bool = False

    def leave(self, *, last: bool, seconds: float) -> None:
        starting = self.state is State.STARTING
        self.state = State.DRAINING
        self.last = self.last or last
        self.channel.send({"do": "leave", "last": last, "seconds": seconds})
        now = monotonic()
        self.full_deadline = min(self.full_deadline, now + seconds + _MARGIN_SECONDS)
        # One that does not serve yet has nothing to finish. Should it just have begun to, it is
        # given its full time when it says so.
        patience = seconds + _MARGIN_SECONDS
        if starting:
            patience = _UNBORN_SECONDS if last else _MARGIN_SECONDS
        self.deadline = min(self.deadline, now + patience)

    def serves_after_all(self) -> None:
        self.ready_at = monotonic()
        self.deadline = self.full_deadline
