"""Log setup: text with key=value fields, or JSON. Both include the fields in ``extra``."""

import json
import logging
import sys
from datetime import UTC, datetime

from aiapi_operator.process.settings import LogFormat

_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_VERBOSE = ("kopf", "aiohttp.access")
"""Loggers that write one line per event or request."""


def configure(*, style: LogFormat, level: str) -> None:
    """Write all logs to stderr in this style."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style is LogFormat.JSON else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    """The fields in ``extra``, without the objects that Kopf adds."""
    plain = (str, int, float, bool)
    return {k: v for k, v in vars(record).items() if k not in _OWN and isinstance(v, plain)}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {key}={value}" for key, value in _extra(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()}{extra}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
