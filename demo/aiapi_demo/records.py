"""The result of each request, and the file that the load generator writes it to."""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request. Times are seconds since the start of the load."""

    phase: int
    intended: float
    sent: float
    finished: float
    status: int
    """The HTTP status; 0 without a response."""
    error: str

    @property
    def ok(self) -> bool:
        """Whether the response had status 200."""
        return self.status == 200

    @property
    def latency(self) -> float:
        """From the time it was due, so that a stalled sender cannot hide waiting time."""
        return self.finished - self.intended


def encode(record: RequestRecord) -> str:
    """One line of the file."""
    return json.dumps(astuple(record))


def decode(lines: Iterable[str]) -> tuple[RequestRecord, ...]:
    """The records of all lines."""
    return tuple(RequestRecord(*json.loads(line)) for line in lines if line.strip())


def read(path: Path) -> tuple[RequestRecord, ...]:
    """The records in a file; none if it does not exist."""
    if not path.exists():
        return ()
    with path.open(encoding="utf-8") as lines:
        return decode(lines)
