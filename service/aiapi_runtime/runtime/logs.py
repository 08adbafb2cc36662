"""One log line a record, on standard error: plain text or JSON. Nothing else writes there."""

import json
import logging
import sys
from datetime import UTC, datetime

from aiapi_runtime.telemetry import request_id


class JsonLine(logging.Formatter):
    """A record as one JSON object, tracebacks inside it, with the request it was written in."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if request := request_id():
            line["request_id"] = request
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, style: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLine()
        if style == "json"
        else logging.Formatter("%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Uvicorn's lines for each start and end of a worker repeat the supervisor's own.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    # httpx writes a line for each call of the app to an upstream: that is an access log, too.
    logging.getLogger("httpx").setLevel(max(logging.WARNING, root.level))
