"""Apps that installed distributions declare, and the sidecars those apps need.

A distribution declares its app by an entry point in the group `aiapi_runtime.app` whose object is
a `BundledApp`. The runtime starts its sidecars without importing any app by name.
"""

from collections.abc import MutableMapping
from importlib.metadata import entry_points
from typing import Protocol

from aiapi_runtime.runtime.sidecars import Sidecar

GROUP = "aiapi_runtime.app"


class BundledApp(Protocol):
    """What the entry point names. Its module must be cheap to import: the supervisor loads it."""

    app: str
    """`module:attribute`, as on the command line."""

    def sidecars(self, environ: MutableMapping[str, str]) -> list[Sidecar]:
        """The programs to run beside the workers; may set variables for them in `environ`."""


class NoDefaultAppError(Exception):
    """There is not exactly one bundled app that can be served."""


def default_app() -> str:
    """The app of `aiapi-serve` without APP."""
    declared = entry_points(group=GROUP)
    if not declared:
        raise NoDefaultAppError("no installed package provides a default app")
    if len(declared) > 1:
        names = ", ".join(sorted(entry.name for entry in declared))
        raise NoDefaultAppError(f"several installed packages provide a default app: {names}")
    (entry,) = declared
    try:
        bundled: BundledApp = entry.load()
    except ImportError as error:
        raise NoDefaultAppError(f"the default app {entry.name} is not complete: {error}") from error
    return bundled.app


def sidecars_of(app: str, environ: MutableMapping[str, str]) -> list[Sidecar]:
    """The sidecars of `app`; none for an app that no installed distribution declares."""
    for entry in entry_points(group=GROUP):
        try:
            bundled: BundledApp = entry.load()
        except ImportError:
            # Installed without the extra that its app needs, so it is not the app being served.
            continue
        if bundled.app == app:
            return bundled.sidecars(environ)
    return []
