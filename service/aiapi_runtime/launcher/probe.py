"""What one interpreter is, and which of the app's packages it lacks."""

import json
import os
import platform
import subprocess
import sys

from aiapi_runtime.launcher import environment
from aiapi_runtime.launcher.app_imports import missing

OPTION = "--probe"
MINIMUM = (3, 10)
_SECONDS = 30.0


class Interpreter:
    """The answer of one interpreter; without a version it is none."""

    def __init__(self, path: str, answer: "dict[str, object]") -> None:
        self.path = path
        self.version = str(answer.get("version", ""))
        self.implementation = str(answer.get("implementation", ""))
        found = answer.get("missing")
        self.missing = [str(name) for name in found] if isinstance(found, list) else []

    @property
    def is_cpython(self) -> bool:
        return self.implementation == "CPython"

    @property
    def is_recent(self) -> bool:
        numbers = tuple(int(part) for part in self.version.split(".")[:2])
        return numbers >= MINIMUM

    @property
    def can_serve(self) -> bool:
        return bool(self.version) and self.is_cpython and self.is_recent

    def __str__(self) -> str:
        if not self.version:
            return f"{self.path} (not a Python interpreter)"
        return f"{self.path} ({self.implementation} {self.version})"


def answer(app: str, app_dir: str) -> "dict[str, object]":
    """The answer of this interpreter."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "missing": missing(app, app_dir),
    }


def ask(path: str, launcher: str, app: str) -> Interpreter:
    """Run another interpreter to find out."""
    command = [path, launcher, OPTION, app]
    try:
        output = subprocess.check_output(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env=environment.for_own_process(),
        )
        found = json.loads(output.decode().strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        found = {}
    return Interpreter(path, found if isinstance(found, dict) else {})


def print_answer(app: str) -> None:
    sys.stdout.write(json.dumps(answer(app, os.environ.get("AIAPI_APP_DIR") or ".")) + "\n")
