"""Where an image may have the interpreter with the app's packages, most specific first."""

import os
import shutil
import sys

from aiapi_runtime.launcher import elsewhere
from aiapi_runtime.launcher.refusal import Refusal

_MAX = 12


def candidates() -> "list[str]":
    """Paths of interpreters. With AIAPI_PYTHON there is that one and no other."""
    named = os.environ.get("AIAPI_PYTHON")
    if named:
        return [_named(named)]
    paths = []  # type: list[str]
    for folder in _environments() + _on_path() + elsewhere.folders():
        for name in ("python3", "python"):
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK) and not os.path.isdir(path):
                _add(paths, path)
    return paths[:_MAX]


def same(one: str, other: str) -> bool:
    """Whether both start one interpreter with one environment, which the folder decides."""
    folders = os.path.dirname(os.path.abspath(one)), os.path.dirname(os.path.abspath(other))
    return folders[0] == folders[1] and os.path.realpath(one) == os.path.realpath(other)


def _named(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Refusal(
            "NoPython",
            f"{name} is not an executable in this image; spec.runtime.python names the interpreter "
            "that has the app's packages, as a path or a name on PATH",
        )
    return os.path.abspath(found)


def _environments() -> "list[str]":
    active, uv, conda = map(
        os.environ.get, ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "CONDA_PREFIX")
    )
    homes = [active, uv, ".venv", "venv", conda]
    return [os.path.join(os.path.abspath(home), "bin") for home in homes if home]


def _on_path() -> "list[str]":
    running = [os.path.dirname(sys.executable)] if sys.executable else []
    return running + [one for one in os.get_exec_path() if one]


def _add(paths: "list[str]", path: str) -> None:
    if not any(same(path, known) for known in paths):
        paths.append(path)
