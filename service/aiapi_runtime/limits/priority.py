"""Who waits and who goes first when a worker has more requests than it can serve."""

from collections.abc import Callable
from enum import IntEnum

from aiapi_runtime.telemetry.requests import Scope

_HEALTH = ("/livez", "/readyz", "/healthz", "/health", "/ping")
_DEFAULT_URGENCY = b"3"


class Priority(IntEnum):
    """From the last to be refused to the first."""

    EXEMPT = 0
    """Never refused: probes."""

    HIGH = 1
    """Overtakes in the queue."""

    NORMAL = 2
    LOW = 3
    """Only where there is room to spare, and never queued."""


Classifier = Callable[[Scope], Priority]


def by_header(scope: Scope) -> Priority:
    """Probes are exempt; a caller may step back with RFC 9218's `Priority: u=4` to 7.

    It cannot step forward: everybody would. An app that knows its callers says so by `classify`.
    """
    if scope["path"] in _HEALTH:
        return Priority.EXEMPT
    for name, value in scope["headers"]:
        if name == b"priority":
            urgency = value.partition(b"u=")[2][:1]
            return Priority.LOW if urgency > _DEFAULT_URGENCY else Priority.NORMAL
    return Priority.NORMAL


class _Chosen:
    classifier: Classifier = staticmethod(by_header)


def classify(classifier: Classifier) -> Classifier:
    """Have this function, cheap and pure, say the priority of each request of the worker.

    When it is first asked, `client` is the connection's own: no proxy's header has been read.
    """
    _Chosen.classifier = staticmethod(classifier)
    return classifier


def chosen() -> Classifier:
    return _Chosen.classifier
