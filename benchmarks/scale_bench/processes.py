"""The operator as a process of its own, measured from outside, and the processes it talks to."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTINGS = {
    "AIAPI_OPERATOR_POD_NAMESPACE": "aiapi-system",
    # The stand-in pods have no certificates; make bench-scrape shows what TLS adds.
    "AIAPI_OPERATOR_ADMIN_TLS": "false",
    "AIAPI_OPERATOR_ACTIVATORS": "true",
}
_PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_that(
    condition: Callable[[], bool], seconds: float, *, every: float = 0.1
) -> float | None:
    """Seconds until the condition holds; None if it does not within ``seconds``."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            return None
        time.sleep(every)
    return time.monotonic() - started


def _environment() -> dict[str, str]:
    folders = [_ROOT / name for name in ("benchmarks", "operator", "service")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}


@contextmanager
def python(*arguments: object, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process, ended at the end."""
    with _running([sys.executable, *map(str, arguments)], log, environment) as process:
        yield process


@contextmanager
def _running(
    command: list[str], log: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended at the end; also one that is stopped, or does not end by itself."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env=_environment() | environment, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read(url: str, data: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return bytes(answer.read())


@dataclass(frozen=True, slots=True)
class Api:
    """The stand-in API server, as the benchmark controls it."""

    port: int

    def do(self, what: str, **arguments: object) -> None:
        """Create, edit, delete, or reset the counts."""
        _read(f"http://127.0.0.1:{self.port}/bench/{what}", json.dumps(arguments).encode())

    def report(self) -> dict[str, Any]:
        """Calls and writes since the last reset."""
        answer: dict[str, Any] = json.loads(_read(f"http://127.0.0.1:{self.port}/bench"))
        return answer

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            self.report()
        except OSError:
            return False
        return True

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that leads to it."""
        file = folder / "kubeconfig"
        server = {"name": "bench", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        context = {"name": "bench", "context": {"cluster": "bench", "user": "bench"}}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "bench"}
        config |= {"clusters": [server], "contexts": [context]}
        config |= {"users": [{"name": "bench", "user": {"token": "bench"}}]}
        file.write_text(json.dumps(config), "utf-8")
        return file


class Operator:
    """A running operator."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self._port = port

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu(self) -> float:
        """CPU seconds so far, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text("utf-8").split()[1]) * _PAGE

    def sockets(self) -> int:
        """Open file descriptors."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def metrics(self) -> str:
        """Its /metrics page."""
        return _read(f"http://127.0.0.1:{self._port}/metrics").decode()

    def is_ready(self) -> bool:
        """Whether it watches."""
        try:
            _read(f"http://127.0.0.1:{self._port}/readyz")
        except OSError:
            return False
        return True

    def histogram(self, name: str) -> dict[float, float]:
        """Cumulative counts by bound in seconds, without labels."""
        return {float(bound): value for bound, value in _buckets(self.metrics(), name) if bound}


def _buckets(text: str, name: str) -> Iterator[tuple[str, float]]:
    prefix = f'{name}_bucket{{le="'
    for line in text.splitlines():
        if line.startswith(prefix):
            bound, _, value = line[len(prefix) :].partition('"} ')
            yield bound, float(value)


@contextmanager
def operator(api: Api, folder: Path, *command: str) -> Iterator[Operator]:
    """A running operator; ``command`` comes before the interpreter, such as ``taskset -c 0``."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    arguments = [sys.executable, "-m", "aiapi_operator", *options]
    arguments += ["--kubeconfig", str(api.kubeconfig(folder)), "--leader-election"]
    log = folder / "operator.log"
    with _running([*command, *arguments], log, _SETTINGS) as process:
        found = Operator(process, port)
        if await_that(found.is_ready, 60) is None:
            raise RuntimeError(f"the operator did not start; see {log}")
        yield found


def percentile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The upper bound of the bucket with this share of the observations in between."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = counts.get(float("inf"), 0.0)
    for bound in sorted(counts):
        if total > 0 and counts[bound] >= share * total:
            return bound
    return float("nan")
