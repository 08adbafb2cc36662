"""Container status: the states waiting, running and terminated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.timestamps import format_time

UNIX_EPOCH = "1970-01-01T00:00:00Z"


def waiting(reason: str, message: str = "") -> Obj:
    """Return a waiting state."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running(since: datetime) -> Obj:
    """Return a running state."""
    return {"running": {"startedAt": format_time(since)}}


def terminated(
    code: int, *, since: datetime, container_id: str, message: str = "", oom_killed: bool = False
) -> Obj:
    """Return the state of a container that ran and exited."""
    reason = "OOMKilled" if oom_killed else "Completed" if code == 0 else "Error"
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            **({"message": message} if message else {}),
            "startedAt": format_time(since),
            "finishedAt": format_time(datetime.now(UTC)),
            "containerID": container_id,
        }
    }


def start_failed(message: str, *, container_id: str) -> Obj:
    """Return the state of a container whose command could not be executed."""
    return {
        "terminated": {
            "exitCode": 128,
            "reason": "StartError",
            "message": message,
            "startedAt": UNIX_EPOCH,
            "finishedAt": format_time(datetime.now(UTC)),
            "containerID": container_id,
        }
    }


@dataclass(kw_only=True)
class ContainerStatus:
    """The status of one container, as the kubelet maintains it."""

    name: str
    image: str
    state: Obj = field(default_factory=lambda: waiting("ContainerCreating"))
    last_state: Obj = field(default_factory=dict)
    restart_count: int = 0
    ready: bool = False
    started: bool = False
    container_id: str = ""
    image_id: str = ""
    resources: Mapping[str, Any] = field(default_factory=dict)
    is_sidecar: bool = False
    """Whether it is an init container that runs as long as the pod."""

    @property
    def is_initialized(self) -> bool:
        """Whether the containers after this init container may start."""
        if not self.is_sidecar:
            return self.exit_code == 0
        return self.started or "terminated" in (self.state | self.last_state)

    @property
    def is_running(self) -> bool:
        """Whether the container's process is running."""
        return "running" in self.state

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its first run, as opposed to a restart."""
        return "waiting" in self.state and "terminated" not in self.last_state

    @property
    def exit_code(self) -> int | None:
        """The exit code of a terminated container, else None."""
        ended = self.state.get("terminated")
        return ended["exitCode"] if ended else None

    def set_waiting(self, reason: str, message: str = "") -> None:
        """Enter the waiting state. A terminated state becomes the last state."""
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = waiting(reason, message)
        self.ready = self.started = False

    def to_api(self) -> Obj:
        """Return the entry of `containerStatuses`."""
        status: Obj = {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "restartCount": self.restart_count,
            "image": self.image,
            "imageID": self.image_id,
            "started": self.started,
        }
        if self.container_id:
            status["containerID"] = self.container_id
        if self.is_running and self.resources:
            status["resources"] = dict(self.resources)
            if requests := self.resources.get("requests"):
                status["allocatedResources"] = dict(requests)
        return status
