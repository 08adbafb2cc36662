"""Reads through one ``kubectl proxy``, because starting kubectl for each look costs more."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_support.kubectl import BINARY


@dataclass(frozen=True, kw_only=True)
class ApiReader:
    """GET requests to the API server."""

    url: str

    def __call__(self, path: str) -> dict[str, Any]:
        """The object or list at a path. Raises OSError."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - kubectl
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def api_reader(kubeconfig: Path) -> Iterator[ApiReader]:
    """Run ``kubectl proxy`` for the block."""
    command = [BINARY, "--kubeconfig", str(kubeconfig), "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
            assert found, "kubectl proxy did not start"
            yield ApiReader(url=f"http://{found[0]}")
        finally:
            process.terminate()
