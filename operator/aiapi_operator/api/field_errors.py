"""What is wrong with an AIApi, in the words of the API server: by field and rule."""

from pydantic import ValidationError


def field_errors(error: ValidationError) -> list[str]:
    """Each as ``spec.scaling.schedules[0].start: what is wrong``."""
    return [
        f"{_path(found['loc'])}: {found['msg'].removeprefix('Value error, ')}"
        for found in error.errors(include_url=False, include_input=False)
    ]


def _path(parts: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")
