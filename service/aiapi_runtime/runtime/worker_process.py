"""One worker process, from the supervisor's point of view."""

from dataclasses import dataclass
from enum import Enum
from time import monotonic

from aiapi_runtime.runtime.channel import Channel

# To receive the command, for the lifespan's shutdown, and to exit.
_MARGIN_SECONDS = 15.0
# For a worker that has never served when the pod ends: it may not react while it imports.
_STARTING_SECONDS = 2.0


class WorkerState(Enum):
    """A worker only ever moves down this list."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(kw_only=True, eq=False)
class WorkerProcess:
    """Owned and changed by the worker pool alone."""

    slot: int
    channel: Channel
    started_at: float
    pid: int = 0
    state: WorkerState = WorkerState.STARTING
    ready_at: float = 0.0
    deadline: float = float("inf")
    full_deadline: float = float("inf")
    exit_requested: bool = False
    """It received a SIGTERM and drains once its replacement is ready."""

    pod_ends: bool = False
    failure: str = ""
    failure_reason: str = ""
    """Set when the import of the app failed: see `loading.import_failure`."""

    adopted: int = 0
    """Connections handed to it that its own count may not include yet."""

    connection_limit: int = 2**31
    releasing: bool = False

    def drain(self, *, pod_ends: bool, seconds: float) -> None:
        starting = self.state is WorkerState.STARTING
        self.state = WorkerState.DRAINING
        self.pod_ends = self.pod_ends or pod_ends
        self.channel.send({"command": "drain", "pod_ends": pod_ends, "seconds": seconds})
        now = monotonic()
        self.full_deadline = min(self.full_deadline, now + seconds + _MARGIN_SECONDS)
        # A worker that does not serve yet has nothing to finish. If it has just begun to, it gets
        # its full time when it reports ready.
        allowed = seconds + _MARGIN_SECONDS
        if starting:
            allowed = _STARTING_SECONDS if pod_ends else _MARGIN_SECONDS
        self.deadline = min(self.deadline, now + allowed)

    def became_ready_while_draining(self) -> None:
        self.ready_at = monotonic()
        self.deadline = self.full_deadline
