"""Runs a real Prometheus that scrapes the given targets every second."""

import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_support.kubectl import eventually


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        where = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        with urllib.request.urlopen(where, timeout=10) as answer:  # noqa: S310 - loopback
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def has_data(self, expr: str) -> bool:
        return any(series["value"][1] != "NaN" for series in self.query(expr))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _config(targets: Sequence[str], rules: Path) -> dict[str, Any]:
    every_second = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    job = {
        "job_name": "operator",
        "honor_labels": True,
        "static_configs": [{"targets": list(targets)}],
    }
    return {"global": every_second, "rule_files": [str(rules)], "scrape_configs": [job]}


@contextmanager
def scraping(folder: Path, targets: Sequence[str], *, rules: Path) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not on the PATH")
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(_config(targets, rules)))
    address = f"127.0.0.1:{_free_port()}"
    command = [program, f"--config.file={folder / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    log = folder / "prometheus.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    prometheus = Prometheus(f"http://{address}")

    def up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return bool(prometheus.query("vector(1)"))
        except OSError:
            return False

    try:
        eventually(up, within=30, what="Prometheus answers")
        yield prometheus
    finally:
        process.terminate()
        process.wait(timeout=30)
