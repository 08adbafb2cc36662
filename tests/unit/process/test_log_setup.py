"""Log lines: a line for a person, or an object for a machine, with what came along."""

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


def test_text_has_key_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(style=LogFormat.TEXT, level="info")
    logging.getLogger("x").info("scaled to %d", 3, extra={"namespace": "shop", "aiapi": "a"})
    assert capsys.readouterr().err.endswith("INFO    scaled to 3 namespace=shop aiapi=a\n")


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(style=LogFormat.JSON, level="info")
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("x").exception("failed", extra={"aiapi": "a"})
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["message"], said["aiapi"]) == ("error", "failed", "a")
    assert "ValueError: invalid literal" in said["exception"]
