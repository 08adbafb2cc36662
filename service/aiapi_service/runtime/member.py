"""One worker as the supervisor sees it."""

from dataclasses import dataclass
from enum import Enum
from time import monotonic

from aiapi_service.runtime.channel import Channel


class State(Enum):
    """A worker only ever moves down this list."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(kw_only=True, eq=False)
class Member:
    """Owned and changed by the crew alone."""

    slot: int
    channel: Channel
    born: float
    pid: int = 0
    state: State = State.STARTING
    ready_at: float = 0.0
    deadline: float = float("inf")
    asked_to_go: bool = False
    last: bool = False
    failure: str = ""
    gifts: int = 0
    shedding: bool = False

    def leave(self, *, last: bool, seconds: float) -> None:
        self.state = State.DRAINING
        self.last = self.last or last
        self.channel.send({"do": "leave", "last": last, "seconds": seconds})
        self.deadline = min(self.deadline, monotonic() + seconds + 15.0)
