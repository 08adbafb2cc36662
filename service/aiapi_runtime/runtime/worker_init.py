"""What the fork server passes to a new worker."""

import socket
from dataclasses import dataclass
from typing import Any

from aiapi_runtime.runtime.channel import Channel
from aiapi_runtime.runtime.settings import RuntimeSettings


@dataclass(frozen=True)
class WorkerInit:
    """`app` is None where the worker imports it itself."""

    settings: RuntimeSettings
    app: Any
    slot: int
    supervisor: int
    channel: Channel
    listener: socket.socket
    memory_fd: int
