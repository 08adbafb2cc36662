"""A real Prometheus with recorded samples."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiapi_operator.simulate.prometheus import PrometheusError, fetch_rates


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def recorded(folder: Path, open_metrics: str) -> Iterator[str]:
    """Run a Prometheus that has the samples of a text in OpenMetrics format. Yields its URL."""
    server, tool = shutil.which("prometheus"), shutil.which("promtool")
    if server is None or tool is None:
        pytest.skip("prometheus and promtool are not on PATH (Debian: apt install prometheus)")
    (folder / "data.om").write_text(open_metrics)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", folder / "data.om", folder / "data"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    url = f"http://127.0.0.1:{free_port()}"
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [
                server,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address={url.removeprefix('http://')}",
            ],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            wait_until_ready(url, process, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(30)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Prometheus listens before it has loaded its data."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 5):
                pass
            fetch_rates(url, "vector(1)", 60)
        except (OSError, PrometheusError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            threading.Event().wait(0.1)
        else:
            return
