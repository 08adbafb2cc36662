"""kubectl in one namespace, and waiting for its results."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

BINARY = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or "kubectl"
Seen = TypeVar("Seen")


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """Runs kubectl. A failed call is an assertion with kubectl's output."""

    kubeconfig: Path
    namespace: str

    def run(
        self, *args: str, stdin: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        command = [BINARY, "--kubeconfig", str(self.kubeconfig), "-n", self.namespace, *args]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def __call__(self, *args: str, stdin: str | None = None, timeout: float = 60) -> str:
        done = self.run(*args, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}{done.stdout}"
        return done.stdout

    def refused(self, *args: str, stdin: str | None = None) -> str:
        """The output of a call that the API server must reject."""
        done = self.run(*args, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(args)} was accepted: {done.stdout}"
        return done.stderr

    def json(self, *args: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *args, "-o", "json"))
        return found

    def exists(self, *args: str) -> bool:
        return bool(self("get", *args, "--ignore-not-found", "-o", "name").strip())


def eventually(
    look: Callable[[], Seen],
    *,
    within: float,
    what: str,
    every: float = 0.2,
    state: Callable[[], object] = str,
) -> Seen:
    """The first true result of ``look`` within ``within`` seconds.

    Fails with the last result, and with the ``state`` at that time.
    """
    began = time.monotonic()
    between_looks = threading.Event()
    while not (seen := look()):
        waited = time.monotonic() - began
        assert waited < within, f"not within {within} s: {what}; last seen: {seen!r} {state()}"
        # kubectl takes 0.1 s of CPU, which the test's own load needs.
        between_looks.wait(max(every, min(waited / 10, 1.0)))
    return seen


def throughout(look: Callable[[], bool | str], *, seconds: float, what: str) -> None:
    """Fail unless ``look`` stays True; a string describes the problem."""
    deadline = time.monotonic() + seconds
    between_looks = threading.Event()
    while time.monotonic() < deadline:
        seen = look()
        assert seen is True, f"did not hold: {what}; seen: {seen!r}"
        between_looks.wait(0.5)
