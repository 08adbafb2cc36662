"""Which sandbox runs with a data directory: its state file, and whether it still lives."""

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

STATE_FILE = "state.json"
POLL_SECONDS = 0.05


def default_data_dir() -> Path:
    """Return where a detached sandbox lives when nothing else is said."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "aiapi" / "sandbox"


def process_start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when there is none.

    With its pid it names a process for good: pids are used again, start times are not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def process_age() -> float:
    """Return for how many seconds this process has run, imports included."""
    ticks = process_start_ticks(os.getpid()) or 0
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    """A sandbox that was started with a data directory."""

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
        """Whether that very process still runs."""
        return process_start_ticks(self.pid) == self.started

    def write(self, data_dir: Path) -> None:
        """Leave the state file."""
        path = data_dir / STATE_FILE
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)

    def stop(self, *, within: float) -> bool:
        """Ask it to stop and wait; kill it (its children follow) when it does not."""
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + within
        while self.is_alive and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
            return False
        return True


def find_running(data_dir: Path) -> RunningSandbox | None:
    """Return the live sandbox of a data directory."""
    try:
        running = RunningSandbox(**json.loads((data_dir / STATE_FILE).read_text()))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, TypeError):
        return None
    return running if running.is_alive else None


def remove_state_file(data_dir: Path) -> None:
    """Remove the state file."""
    (data_dir / STATE_FILE).unlink(missing_ok=True)
