"""A command that fails says why in one line, and exits with 1."""

import logging

import pytest

from aiapi_operator.cluster.connection import NotConfiguredError
from aiapi_operator.process.command import exit_on_failure
from aiapi_operator.process.listener import ListenError

_log = logging.getLogger("a-command")


@pytest.mark.parametrize(
    ("error", "line", "with_traceback"),
    [
        (
            NotConfiguredError("no such file"),
            "no cluster is configured: no such file. Set --kubeconfig or KUBECONFIG.",
            False,
        ),
        (ListenError("port 80 is in use"), "port 80 is in use", False),
        (ListenError("100% in use: %s"), "100% in use: %s", False),
        (RuntimeError("the watches ended"), "the operator failed", True),
    ],
)
def test_a_failure_is_logged_and_exits_with_1(
    caplog: pytest.LogCaptureFixture, error: Exception, line: str, with_traceback: bool
) -> None:
    with pytest.raises(SystemExit) as exit_, exit_on_failure(_log, "the operator"):
        raise error
    assert exit_.value.code == 1
    (record,) = caplog.records
    assert (record.getMessage(), bool(record.exc_info)) == (line, with_traceback)


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_what_is_no_failure_passes(
    caplog: pytest.LogCaptureFixture, signal: type[BaseException]
) -> None:
    with pytest.raises(signal), exit_on_failure(_log, "the operator"):
        raise signal
    assert not caplog.records


def test_success_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with exit_on_failure(_log, "the operator"):
        pass
    assert not caplog.records
