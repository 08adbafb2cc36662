"""Options of the end-to-end tests, and markers by the kind of test.

pytest reads options only from the topmost conftest.
"""

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ASSISTANT_IMAGE = "ghcr.io/acme/assistant:1.4"
OWN_SANDBOX = ("tests/e2e/faults", "tests/e2e/zero")
FAILURE_LENGTH = 1500
"""Characters of the first failure's message, and of the end of its traceback."""
REAL_PROCESSES = tuple(Path(__file__).parent / name for name in ("integration", "e2e"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e", "end-to-end tests")
    group.addoption("--kubeconfig", help="use a real cluster; by default a sandbox is started")
    group.addoption("--image", default=ASSISTANT_IMAGE, help="image with examples/assistant")
    group.addoption(
        "--unprepared-image", help="image with tests/image_support/shop and without the runtime"
    )
    group.addoption("--operator-image", help="image of the operator; default: the released image")
    group.addoption(
        "--audit-logs", type=Path, help="folder of the sandboxes' audit logs, which are kept there"
    )


class SandboxScheduling(LoadScopeScheduling):
    """Sends tests to any process, except those that share a sandbox of their own."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.partition("::")[0].rpartition("/")[0]
        return folder if folder in OWN_SANDBOX else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With ``--dist loadgroup``, groups by folder. pytest-xdist's own need an older pytest."""
    return SandboxScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests with generated cases, and retry tests of real processes once.

    The summary lists each retry as RERUN, with the first failure. Unit tests do not depend on the
    machine's load and are not retried.
    """
    for item in items:
        if getattr(getattr(item, "function", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.property)
        if any(item.path.is_relative_to(folder) for folder in REAL_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print why each retried test failed the first time."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first failure of {report.nodeid}")
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            terminalreporter.write_line(crash.message[:FAILURE_LENGTH])
        terminalreporter.write_line(report.longreprtext[-FAILURE_LENGTH:])
