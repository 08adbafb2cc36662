"""Overload protection of a worker: `aiapi-serve --limit auto`.

An app needs nothing from here. It may set which requests matter most:

    @limits.classify
    def by_path(scope):
        return limits.Priority.HIGH if scope["path"] == "/checkout" else limits.Priority.NORMAL
"""

from aiapi_runtime.limits.priority import Priority, classify

__all__ = ["Priority", "classify"]
