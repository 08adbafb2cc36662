"""Imports the user's app by its name, and describes why that failed."""

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from aiapi_runtime.runtime.channel import TEXT_LIMIT


def load_app(target: str, app_dir: str) -> Any:
    """Import "module:attribute"; errors are Python's own, since they name what is missing."""
    folder = str(Path(app_dir).resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    return found


def describe(error: BaseException) -> str:
    return shorten("".join(traceback.format_exception(error)))


def shorten(text: str) -> str:
    """Cut at the start when long: the end of a traceback has the error."""
    return text[-TEXT_LIMIT:]


def last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
