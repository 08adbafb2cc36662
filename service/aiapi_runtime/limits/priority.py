"""Which requests wait and which go first when a worker has more than it can serve."""

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
    """Queues before normal requests."""

    NORMAL = 2
    LOW = 3
    """Admitted below 80 % of the limit, and never queued."""


Classifier = Callable[[Scope], Priority]


def by_header(scope: Scope) -> Priority:
    """Probes are exempt; a caller may lower its priority with RFC 9218's `Priority: u=4` to 7.

    It cannot raise it, since then every caller would. An app that can rank its callers uses
    `classify`.
    """
    if scope["path"] in _HEALTH:
        return Priority.EXEMPT
    for name, value in scope["headers"]:
        if name == b"priority":
            urgency = value.partition(b"u=")[2][:1]
            return Priority.LOW if urgency > _DEFAULT_URGENCY else Priority.NORMAL
    return Priority.NORMAL


class _Current:
    classifier: Classifier = staticmethod(by_header)


def classify(classifier: Classifier) -> Classifier:
    """Use this function for the priority of each request of the worker; it must be fast and pure.

    At its first call for a request no proxy header has been read: `client` is the connection's own.
    """
    _Current.classifier = staticmethod(classifier)
    return classifier


def current_classifier() -> Classifier:
    return _Current.classifier
