"""The JSONPath subset of printer columns: fields, indexes and equality filters."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

_STEP = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\]\\])+)
      | \[\s*(?P<index>-?\d+)\s*\]
      | \[\s*(?P<all>\*)\s*\]
      | \[\s*'(?P<quoted>[^']*)'\s*\]
      | \[\s*"(?P<double>[^"]*)"\s*\]
      | \[\?\(\s*@(?P<left>[^=!<>]+?)\s*(?P<op>==|!=)\s*(?P<right>"[^"]*"|'[^']*'|[^)]+?)\s*\)\]""",
    re.VERBOSE,
)


class JsonPathError(ValueError):
    """The path is invalid or not supported."""


@cache
def _steps(path: str) -> tuple[tuple[str, Any], ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if text and text[0] not in ".[":
        text = "." + text
    steps: list[tuple[str, Any]] = []
    position = 0
    while position < len(text):
        found = _STEP.match(text, position)
        if not found:
            raise JsonPathError(f"unrecognized path {path!r} at {text[position:]!r}")
        position = found.end()
        if found["field"] is not None:
            steps.append(("field", re.sub(r"\\(.)", r"\1", found["field"])))
        elif found["index"] is not None:
            steps.append(("index", int(found["index"])))
        elif found["all"]:
            steps.append(("all", None))
        elif found["left"] is not None:
            wanted = _literal(found["right"])
            steps.append(("filter", (found["left"], found["op"] == "==", wanted)))
        else:
            steps.append(("field", found["quoted"] or found["double"]))
    return tuple(steps)


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def check_path(path: str) -> None:
    _steps(path)


def find(obj: Any, path: str) -> list[Any]:
    """All values at the path; an empty list when it does not exist."""
    values = [obj]
    for kind, detail in _steps(path):
        values = [found for value in values for found in _take(value, kind, detail)]
    return values


def _take(value: Any, kind: str, detail: Any) -> list[Any]:
    if kind == "field":
        return [value[detail]] if isinstance(value, dict) and detail in value else []
    if kind == "all":
        return list(value.values() if isinstance(value, dict) else value or ())
    if not isinstance(value, list):
        return []
    if kind == "index":
        return value[detail : detail + 1 or None]
    path, equal, wanted = detail
    return [item for item in value if (find(item, path)[:1] == [wanted]) is equal]
