"""Environments that Poetry and conda keep away from the app, and that are not on PATH."""

import glob
import os


def folders() -> "list[str]":
    """Where their interpreters are."""
    return [os.path.join(home, "bin") for home in _poetry() + _conda()]


def _poetry() -> "list[str]":
    cache = os.environ.get("POETRY_CACHE_DIR") or os.path.expanduser("~/.cache/pypoetry")
    parent = os.environ.get("POETRY_VIRTUALENVS_PATH") or os.path.join(cache, "virtualenvs")
    return _below(parent)


def _conda() -> "list[str]":
    roots = [os.environ.get("MAMBA_ROOT_PREFIX")] + [
        os.path.dirname(os.path.abspath(one)) for one in os.get_exec_path() if one
    ]
    homes = _listed()
    for root in roots:
        if root and os.path.isdir(os.path.join(root, "conda-meta")):
            homes += [root, *_below(os.path.join(root, "envs"))]
    return homes


def _listed() -> "list[str]":
    """Each environment that this user has created."""
    try:
        with open(os.path.expanduser("~/.conda/environments.txt")) as file:
            return [line.strip() for line in file if line.strip()]
    except (OSError, ValueError):
        return []


def _below(parent: str) -> "list[str]":
    return sorted(glob.glob(os.path.join(glob.escape(os.path.abspath(parent)), "*")))
