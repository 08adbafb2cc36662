"""The requests of the operator and the activators in the audit log."""

import json
from pathlib import Path
from typing import Any

OPERATOR = "aiapi-operator"
ACTIVATOR = "aiapi-operator-activator"


def requests_of_the_operator(audit: Path) -> list[dict[str, Any]]:
    """Its audit events of resources, in the order of the log."""
    return requests_of(OPERATOR, audit)


def requests_of(account: str, audit: Path) -> list[dict[str, Any]]:
    """The audit events of resources of a service account, in the order of the log."""
    user = f"system:serviceaccount:aiapi-system:{account}"
    events = map(json.loads, audit.read_text().splitlines())
    return [event for event in events if event["user"]["username"] == user and "objectRef" in event]
