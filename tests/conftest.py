"""Options of the end-to-end suite, and the second try of tests that watch real processes.

pytest reads options only from a conftest this high up.
"""

from pathlib import Path

import pytest

ASSISTANT_IMAGE = "ghcr.io/acme/assistant:1.4"
REAL_PARTS = tuple(Path(__file__).parent / name for name in ("integration", "e2e"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e", "end to end")
    group.addoption("--kubeconfig", help="a real cluster; without it a sandbox is started")
    group.addoption("--image", default=ASSISTANT_IMAGE, help="image with examples/assistant")
    group.addoption("--operator-image", help="image of the operator (default: as released)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One more try where real processes share a busy machine; each is listed as RERUN at the end.

    Unit tests have no such excuse and get none.
    """
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in REAL_PARTS):
            item.add_marker(pytest.mark.flaky(reruns=1))
