"""Imports the user's app by its name, and describes why that failed."""

import importlib
import sys
import traceback
from operator import attrgetter
from pathlib import Path
from typing import Any

from aiapi_runtime.runtime import log_config
from aiapi_runtime.runtime.channel import TEXT_LIMIT
from aiapi_runtime.runtime.settings import RuntimeSettings


class NotCallableError(TypeError):
    """What the name of the app leads to is no app. The message says what it is."""


def load_app(settings: RuntimeSettings) -> Any:
    """Import "module:attribute"; errors are Python's own, since they name what is missing.

    Raises `NotCallableError` where Uvicorn would fail at each request.
    """
    folder = str(Path(settings.app_dir).resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if settings.log_config:
        log_config.apply(settings.log_config)
    module, _, attribute = settings.app.partition(":")
    app = attrgetter(attribute)(importlib.import_module(module))
    if not callable(app):
        raise NotCallableError(f"{settings.app} is of type {type(app).__name__}, not an ASGI app")
    return app


def import_failure(error: BaseException) -> str:
    """The reason for a failed import, as the launcher names those that no new attempt can cure."""
    if isinstance(error, NotCallableError):
        return "AppNotCallable"
    missing = isinstance(error, ModuleNotFoundError) or _lacks_app(error)
    return "AppNotFound" if missing else "ImportFailed"


def _lacks_app(error: BaseException) -> bool:
    """Whether the app's module was imported and has no such attribute: raised by `load_app`."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, AttributeError) and bool(frames) and frames[-1].filename == __file__


def describe(error: BaseException) -> str:
    return shorten("".join(traceback.format_exception(error)))


def shorten(text: str) -> str:
    """Cut at the start when long: the end of a traceback has the error."""
    return text[-TEXT_LIMIT:]


def last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
