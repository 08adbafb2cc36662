"""Whether the image has the runtime already, and which of the two is newer."""

import re
import sys


def image_version() -> str:
    """The version of aiapi-runtime that the image has; empty when it has none."""
    if not any(_finds(finder) for finder in sys.meta_path):
        return ""
    from importlib.metadata import (  # noqa: PLC0415 - takes time, and Python 3.7 has none
        PackageNotFoundError,
        version,
    )

    try:
        return version("aiapi-runtime")
    except PackageNotFoundError:
        return ""


def _finds(finder: object) -> bool:
    find = getattr(finder, "find_spec", None)
    spec = find("aiapi_runtime", None) if find else None
    return spec is not None and spec.origin is not None


def is_newer(one: str, other: str) -> bool:
    return _key(one) > _key(other)


def _key(version: str) -> "tuple[list[int], bool]":
    """By the release; a pre-release of it is less. The project has no other versions."""
    release = re.match(r"[0-9.]*", version)
    text = release.group() if release else ""
    return [int(part) for part in text.split(".") if part], text == version
