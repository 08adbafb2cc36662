"""The log on standard error, as plain text or JSON, one line per record."""

import json
import logging
import sys
from datetime import datetime, timezone

from aiapi_runtime.telemetry import request_id


class JsonFormatter(logging.Formatter):
    """A record as one JSON object, with its traceback and the id of the current request."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record.created),
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


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def set_up(level: str, style: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if style == "json"
        else logging.Formatter("%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Uvicorn's lines for each start and end of a worker repeat the supervisor's own.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    # httpx logs one line per call to an upstream, which is an access log too.
    logging.getLogger("httpx").setLevel(max(logging.WARNING, root.level))
