"""Prints the settings table of docs/gateway.md: `python -m aiapi_service.gateway.reference`."""

import json
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from aiapi_service.gateway.settings import PREFIX, GatewaySettings, is_secret

# Set by aiapi-serve for its workers.
_INTERNAL = {"local_url", "local_key"}


def table() -> str:
    """A Markdown table, one row per variable."""
    rows = ["| variable | default | description |", "| --- | --- | --- |"]
    for name, field in sorted(GatewaySettings.model_fields.items()):
        if name not in _INTERNAL:
            rows.append(f"| {_names(name, field)} | {_default(field)} | {_text(field)} |")
    return "\n".join(rows) + "\n"


def _names(name: str, field: FieldInfo) -> str:
    variable = f"{PREFIX}{name.upper()}"
    return f"`{variable}`, `{variable}_FILE`" if is_secret(field) else f"`{variable}`"


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined:
        return "[see documents](documents.md#settings)"
    if value is None or value in ("", (), {}) or isinstance(value, SecretStr):
        return "none"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    if isinstance(value, float):
        return f"{value:g}"
    return f"`{value}`" if isinstance(value, str) else json.dumps(value, default=str)


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - a command line program
