"""An injected runtime beside the app's own packages.

The launcher (`launch.py`) starts the runtime from a folder of its own, on the interpreter of an
image that was not prepared for it. What does the serving is the runtime's: Uvicorn and what it
needs. An app may have other versions of the same packages, and must get those. So the runtime
imports its own while its folder is first on `sys.path`. Before the fork server imports the app, the
folder moves to the end, and the names that the app has as well are free again: both versions are in
the process, and each side keeps what it has imported. The supervisor never imports the app.
"""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

# What Uvicorn consists of and needs; typing_extensions on Python 3.10 only.
_OWN = ("uvicorn", "click", "h11", "httptools", "uvloop", "typing_extensions")


@dataclass(frozen=True, slots=True)
class Injection:
    """How this process was started by the launcher."""

    launcher: str
    folders: tuple[str, ...]
    version: str
    loaded_before: dict[str, ModuleType]
    """The app's own modules of the same names, which `sitecustomize` has imported."""


class _Current:
    injection: Injection | None = None


def current() -> Injection | None:
    """None where the runtime is a package of the image."""
    return _Current.injection


def begin(launcher: str, folders: Sequence[str], own_version: str) -> None:
    """From now on imports find the runtime's own packages first."""
    before = _take(_OWN)
    _Current.injection = Injection(launcher, tuple(folders), own_version, before)


def end(app_dir: str) -> None:
    """From now on imports find the app's own packages first. Call it before the app is imported."""
    injection = _Current.injection
    if injection is None or sys.path[: len(injection.folders)] != list(injection.folders):
        return
    del sys.path[: len(injection.folders)]
    for name in _OWN:
        ours = _take([name])
        theirs = _with_prefix(injection.loaded_before, name)
        if not theirs and not _app_has(name, app_dir):
            sys.modules.update(ours)
        sys.modules.update(theirs)
    sys.path.extend(injection.folders)
    # The launcher keeps Python from writing into the runtime's folder.
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)


def launcher() -> str:
    """The path of `launch.py`; empty where the runtime is a package of the image."""
    return _Current.injection.launcher if _Current.injection else ""


def fork_server_command() -> list[str]:
    """The interpreter's arguments that start the fork server, before its own."""
    injection = _Current.injection
    if injection is not None:
        return [injection.launcher, "--fork-server"]
    # Files beside the app must not shadow Python's own modules.
    if sys.version_info >= (3, 11):
        return ["-P", "-m", "aiapi_runtime.runtime.fork_server"]
    start = "import sys; del sys.path[0]; from aiapi_runtime.runtime.fork_server import main"
    return ["-c", f"{start}; sys.exit(main())"]


def describe() -> dict[str, str]:
    """What `/stats` says about the runtime."""
    injection = _Current.injection
    return {
        "version": injection.version if injection else _installed_version(),
        "source": "Injected" if injection else "Image",
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def _installed_version() -> str:
    try:
        return version("aiapi-runtime")
    except PackageNotFoundError:
        return "unknown"


def _take(names: Sequence[str]) -> dict[str, ModuleType]:
    """Remove the packages of these names from the imported modules."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}


def _with_prefix(modules: dict[str, ModuleType], package: str) -> dict[str, ModuleType]:
    return {name: module for name, module in modules.items() if name.partition(".")[0] == package}


def _app_has(name: str, app_dir: str) -> bool:
    if PathFinder.find_spec(name, [app_dir]) is not None:
        return True
    return importlib.util.find_spec(name) is not None
