"""The state file of a running sandbox, by which `down` finds its process."""

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

STATE_FILE = "state.json"
POLL_SECONDS = 0.05


def default_data_dir() -> Path:
    """Return the data directory of a detached sandbox without `--data`."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "aiapi" / "sandbox"


def process_start_ticks(pid: int) -> int | None:
    """Return a process's start time in clock ticks since boot; None when it does not run.

    PID and start time together identify a process, because PIDs are reused.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def process_age() -> float:
    """Return the age of this process in seconds, including its imports."""
    ticks = process_start_ticks(os.getpid()) or 0
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    """A sandbox that runs with a data directory."""

    pid: int
    started: int
    kubeconfig: str
    url: str

    @classmethod
    def of_this_process(cls, *, kubeconfig: Path, url: str) -> "RunningSandbox":
        """Describe the sandbox in this process."""
        pid = os.getpid()
        return cls(
            pid=pid, started=process_start_ticks(pid) or 0, kubeconfig=str(kubeconfig), url=url
        )

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs and its PID was not reused."""
        return process_start_ticks(self.pid) == self.started

    def write(self, data_dir: Path) -> None:
        """Write the state file."""
        path = data_dir / STATE_FILE
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(path)

    def stop(self, *, within: float) -> bool:
        """Send SIGTERM and wait; on timeout, send SIGKILL and return False."""
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + within
        while self.is_alive and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
            return False
        return True


def find_running(data_dir: Path) -> RunningSandbox | None:
    """Return the running sandbox of a data directory, or None."""
    try:
        running = RunningSandbox(**json.loads((data_dir / STATE_FILE).read_text()))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, TypeError):
        return None
    return running if running.is_alive else None


def remove_state_file(data_dir: Path) -> None:
    """Remove the state file."""
    (data_dir / STATE_FILE).unlink(missing_ok=True)
