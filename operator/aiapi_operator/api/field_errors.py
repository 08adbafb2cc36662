"""Formats validation errors of an AIApi by field, as the API server does."""

from pydantic import ValidationError


def field_errors(error: ValidationError) -> list[str]:
    """One line per error: ``spec.scaling.schedules[0].start: message``."""
    return [
        f"{_path(found['loc'])}: {found['msg'].removeprefix('Value error, ')}"
        for found in error.errors(include_url=False, include_input=False)
    ]


def _path(parts: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")
