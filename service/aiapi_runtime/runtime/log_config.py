"""The workers' logging as a file configures it: the same files as Uvicorn's `--log-config`.

The supervisor does not read it: a configuration may name classes of the app, and the supervisor
runs no code of the app.
"""

import importlib
import json
import logging.config
from pathlib import Path
from typing import Any


def apply(file: str) -> None:
    """Configure logging; the suffix tells the format."""
    try:
        if Path(file).suffix in (".json", ".yaml", ".yml"):
            logging.config.dictConfig(_read(Path(file)))
        else:
            logging.config.fileConfig(file, disable_existing_loggers=False)
    except Exception as error:
        raise ValueError(f"--log-config {file}: {error}") from error


def _read(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    parsed: Any = json.loads(text) if file.suffix == ".json" else _parse_yaml(text)
    if not isinstance(parsed, dict):
        raise TypeError("it is not a mapping as dictConfig reads it")
    return parsed


def _parse_yaml(text: str) -> Any:
    try:
        # Most apps have it, and the runtime must not require what an app is likely to pin.
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise ImportError("YAML needs PyYAML in the image; use JSON or install pyyaml") from None
    return yaml.safe_load(text)
