"""Log lines as text or JSON, with their extra fields."""

import json
import logging
from collections.abc import Iterator

import pytest

from aiapi_operator.process import log_setup
from aiapi_operator.process.settings import LogFormat


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_text_lines_have_key_value_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(style=LogFormat.TEXT, level="info")
    logging.getLogger("x").info("scaled to %d", 3, extra={"namespace": "shop", "aiapi": "a"})
    assert capsys.readouterr().err.endswith("INFO    scaled to 3 namespace=shop aiapi=a\n")


def test_json_has_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(style=LogFormat.JSON, level="info")
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("x").exception("failed", extra={"aiapi": "a"})
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["message"], entry["aiapi"]) == ("error", "failed", "a")
    assert "ValueError: invalid literal" in entry["exception"]
