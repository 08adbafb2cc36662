"""Options of the end-to-end tests, and markers by the kind of test.

pytest reads options only from the topmost conftest.
"""

from pathlib import Path

import pytest

ASSISTANT_IMAGE = "ghcr.io/acme/assistant:1.4"
AUDITED = tuple(
    Path(__file__).parent / "e2e" / f"test_{name}.py"
    for name in (
        "activators",
        "reconcile",
        "resource",
        "right_sizing",
        "failures",
        "zz_permissions",
    )
)
OWN_SANDBOX = tuple(Path(__file__).parent / "e2e" / name for name in ("faults", "zero"))
FAILURE_LENGTH = 3000
REAL_PROCESSES = tuple(Path(__file__).parent / name for name in ("integration", "e2e"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e", "end-to-end tests")
    group.addoption("--kubeconfig", help="use a real cluster; by default a sandbox is started")
    group.addoption("--image", default=ASSISTANT_IMAGE, help="image with examples/assistant")
    group.addoption(
        "--unprepared-image", help="image with tests/image_support/shop and without the runtime"
    )
    group.addoption("--operator-image", help="image of the operator; default: the released image")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests with generated cases, and retry tests of real processes once.

    The summary lists each retry as RERUN, with the first failure. Unit tests do not depend on the
    machine's load and are not retried. With ``--dist loadgroup``, the end-to-end tests whose API
    calls are compared with the operator's permissions share a process, and with it a sandbox; so
    do the fault scenarios, and those of scale to zero.
    """
    for item in items:
        if getattr(getattr(item, "function", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.property)
        if any(item.path.is_relative_to(folder) for folder in REAL_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))
        group = "audited" if item.path in AUDITED else item.path.stem
        group = item.path.parent.name if item.path.parent in OWN_SANDBOX else group
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print why each retried test failed the first time."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first failure of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext[-FAILURE_LENGTH:])
