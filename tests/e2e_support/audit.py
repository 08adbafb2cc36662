"""The operator's requests in the audit log."""

import json
from pathlib import Path
from typing import Any

OPERATOR = "system:serviceaccount:aiapi-system:aiapi-operator"


def requests_of_the_operator(audit: Path) -> list[dict[str, Any]]:
    """Its audit events of resources, in the order of the log."""
    events = map(json.loads, audit.read_text().splitlines())
    return [
        event for event in events if event["user"]["username"] == OPERATOR and "objectRef" in event
    ]
