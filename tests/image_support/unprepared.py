"""Images that nobody prepared: directories with a virtual environment of their own.

An environment is made once per set of packages, and kept in build/.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

KEPT = Path(__file__).parents[2] / "build" / "images"
SHOP = Path(__file__).parent / "shop"
OLD_FASTAPI = ("fastapi==0.110.3", "uvicorn==0.30.6")
"""Versions that conflict with those of the runtime and of the sandbox."""


def shop(folder: Path, packages: Sequence[str] = OLD_FASTAPI) -> Path:
    """The shop as an image directory with these packages in ``.venv``."""
    shutil.copytree(SHOP, folder / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(_environment(packages), target_is_directory=True)
    return folder


def _environment(packages: Sequence[str]) -> Path:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(" ".join([sys.base_prefix, *packages]).encode()).hexdigest()[:12]
    made = KEPT / f"python{version}-{key}"
    if not (made / "complete").exists():
        _make(made, packages)
    return made


def _make(folder: Path, packages: Sequence[str]) -> None:
    """Serialized, because several test processes may need it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([*install, "--disable-pip-version-check", *packages], check=True, env=clean)
        (folder / "complete").touch()
