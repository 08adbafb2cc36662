"""The options of aiapi-serve, validated by the command line."""

from dataclasses import asdict, dataclass
from typing import Any

from aiapi_runtime.runtime.listener import ANY

SPARE_SLOTS = 16


@dataclass(frozen=True, kw_only=True)
class RuntimeSettings:
    """Times are in seconds. docs/runtime.md documents each option."""

    app: str
    app_dir: str = "."
    host: str = ANY
    port: int = 8000
    admin_host: str = ""
    admin_port: int = 9000
    workers: int = 1
    max_workers: int = 64
    backlog: int = 2048
    keep_alive: float = 75.0
    max_head: int = 65536
    max_headers: int = 256
    head_timeout: float = 10.0
    ws_max_size: int = 16777216
    limit_max_requests: int = 0
    root_path: str = ""
    loop: str = "auto"
    lifespan: str = "auto"
    preload: str = "auto"
    size_wait: float = 0.0
    drain_delay: float = 3.0
    grace: float = 25.0
    idle_wait: float = 5.0
    leave_limit: float = 600.0
    task_wait: float = 10.0
    start_limit: float = 300.0
    blocked_after: float = 1.0
    stuck_after: float = 30.0
    wsgi: bool = False
    threads: int = 10
    limit: str = "off"
    idle_ignore_paths: str = ""
    upstream_tracking: str = "on"
    prometheus_multiproc: str = "auto"
    forwarded_allow_ips: str = "127.0.0.1"
    access_log: bool = False
    log_level: str = "info"
    log_format: str = "plain"
    log_config: str = ""

    @property
    def slots(self) -> int:
        """Twice the maximum of workers: departing workers overlap with their replacements."""
        return 2 * self.max_workers + SPARE_SLOTS

    @property
    def worker_limit(self) -> int:
        """The maximum of open requests per worker; 0 where only its loop limits it."""
        limits = [self.threads] if self.wsgi else []
        if self.limit.isdecimal():
            limits.append(int(self.limit))
        return min(limits, default=0)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
