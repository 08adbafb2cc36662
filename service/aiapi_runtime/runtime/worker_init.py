"""What the zygote gives a worker."""

import socket
from dataclasses import dataclass
from typing import Any

from aiapi_runtime.runtime.channel import Channel
from aiapi_runtime.runtime.settings import Settings


@dataclass(frozen=True)
class WorkerInit:
    """What a new worker is born with."""

    settings: Settings
    app: Any
    slot: int
    supervisor: int
    channel: Channel
    listener: socket.socket
    memory_fd: int
