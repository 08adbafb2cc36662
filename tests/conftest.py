"""Options of the end-to-end suite; pytest reads them only from a conftest this high up."""

import pytest

ASSISTANT_IMAGE = "ghcr.io/acme/assistant:1.4"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e", "end to end")
    group.addoption("--kubeconfig", help="a real cluster; without it a sandbox is started")
    group.addoption("--image", default=ASSISTANT_IMAGE, help="image with examples/assistant")
    group.addoption("--operator-image", help="image of the operator (default: as released)")
