"""What became of each request, and the file the load generator leaves it in."""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request. Times are seconds from the start of the load."""

    phase: int
    intended: float
    sent: float
    finished: float
    status: int
    """The HTTP status; 0 when there was no answer."""
    error: str

    @property
    def ok(self) -> bool:
        """Only an answer with status 200 is an answer."""
        return self.status == 200

    @property
    def latency(self) -> float:
        """From the moment it was due, so that a stalled sender cannot hide a wait."""
        return self.finished - self.intended


def encode(record: RequestRecord) -> str:
    """One line of the file."""
    return json.dumps(astuple(record))


def decode(lines: Iterable[str]) -> tuple[RequestRecord, ...]:
    """The records of all lines."""
    return tuple(RequestRecord(*json.loads(line)) for line in lines if line.strip())


def read(path: Path) -> tuple[RequestRecord, ...]:
    """The records in a file; none when it was never written."""
    if not path.exists():
        return ()
    with path.open(encoding="utf-8") as lines:
        return decode(lines)
